"""The whole service as its user starts it: real processes under `start_service.py`, free ports."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from supervision.ports import free_port

ROOT = Path(__file__).parents[2]
READY_SECONDS = 60.0
FINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True)
class Service:
    """A running service. `log` is what it printed."""

    data_dir: Path
    api_port: int
    prefect_port: int
    process: subprocess.Popen[bytes]
    client: httpx.Client
    log: Path

    @property
    def prefect_url(self) -> str:
        """The address of Prefect's API."""
        return f"http://127.0.0.1:{self.prefect_port}/api"

    def pid(self, name: str) -> int:
        """Return the process id of `api`, `prefect`, `worker-1`, …"""
        return int((self.data_dir / "run" / f"{name}.pid").read_text())

    def kill(self, name: str) -> int:
        """End one of its processes as a crash would; return the id that it had."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def save(self, document: Mapping[str, Any], name: str = "Test") -> str:
        """Store a workflow and return its id."""
        answer = self.client.post("/api/workflows", json={"name": name, "data": document})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def execute(self, workflow_id: str, inputs: Mapping[str, Any] | None = None) -> str:
        """Start an execution and return its id."""
        body = {"workflowId": workflow_id, "inputs": dict(inputs or {})}
        answer = self.client.post("/api/workflows/execute", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["executionId"])

    def poll(self, execution_id: str) -> dict[str, Any]:
        """Return what a front end sees of an execution."""
        answer = self.client.get(f"/api/executions/{execution_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def logs(self, execution_id: str) -> list[dict[str, Any]]:
        """Return all log rows of an execution."""
        return list(self.client.get(f"/api/executions/{execution_id}/logs").json()["logs"])

    def wait(self, execution_id: str, seconds: float = 30.0) -> dict[str, Any]:
        """Poll until the execution is final and return its last picture."""
        deadline = time.monotonic() + seconds
        while (seen := self.poll(execution_id))["status"] not in FINAL:
            assert time.monotonic() < deadline, f"not final in time: {seen}"
            time.sleep(0.03)  # a front end's polling interval
        return seen

    def run(
        self, document: Mapping[str, Any], inputs: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Store a workflow, execute it, and return the final picture."""
        return self.wait(self.execute(self.save(document), inputs))


@contextmanager
def service(data_dir: Path, **settings: str) -> Iterator[Service]:
    """Start a service that is ready for work, yield it, and stop it with Ctrl+C's signal."""
    api_port, prefect_port = free_port(), free_port()
    data_dir.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env |= {
        "API_PORT": str(api_port),
        "PREFECT_PORT": str(prefect_port),
        "DATA_DIR": str(data_dir),
        "HTTP_ALLOWED_HOSTS": "127.0.0.1",
        "NO_COLOR": "1",
        **settings,
    }
    log = data_dir / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "start_service.py")],
            cwd=data_dir,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{api_port}", timeout=30) as client:
                found = Service(data_dir, api_port, prefect_port, process, client, log)
                _await_ready(found, with_prefect=settings.get("ORCHESTRATOR") != "direct")
                yield found
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def _await_ready(started: Service, *, with_prefect: bool) -> None:
    urls = ["/ready"] + ([f"{started.prefect_url}/health"] if with_prefect else [])
    deadline = time.monotonic() + READY_SECONDS
    while not all(_answers(started.client, url) for url in urls):
        told = started.log.read_text(errors="replace")
        assert started.process.poll() is None, f"the service ended:\n{told}"
        assert time.monotonic() < deadline, f"not ready in time:\n{told}"
        time.sleep(0.05)  # a health check's interval


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx.HTTPError:
        return False
