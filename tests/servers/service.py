"""The whole service as its user starts it: real processes under `start_service.py`, free ports."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from config import Settings
from supervision.ports import free_port
from tests.servers.prefect_template import plant

ROOT = Path(__file__).parents[2]
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
T = TypeVar("T")
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
    with_prefect: bool

    @property
    def prefect_url(self) -> str:
        """The address of Prefect's API."""
        return f"http://127.0.0.1:{self.prefect_port}/api"

    def await_ready(self) -> None:
        """Wait until a worker takes work and, if there is a Prefect, shows it there."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            told = self.log.read_text(errors="replace")
            assert self.process.poll() is None, f"the service ended:\n{told}"
            assert time.monotonic() < deadline, f"not ready in time:\n{told}"
            time.sleep(0.05)  # a health check's interval

    def _is_ready(self) -> bool:
        try:
            answer = self.client.get("/ready")
        except httpx.HTTPError:
            return False
        shown = answer.json().get("observability") == "full" or not self.with_prefect
        return answer.status_code == 200 and shown

    def pid(self, name: str) -> int:
        """Return the process id of `api`, `prefect`, `worker-1`, …"""
        return int((self.data_dir / "run" / f"{name}.pid").read_text())

    def kill(self, name: str) -> int:
        """End one of its processes as a crash would; return the id that it had."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def crash(self) -> None:
        """End all of its processes at once, as the machine's death would."""
        pids = [int(file.read_text()) for file in (self.data_dir / "run").glob("*.pid")]
        for pid in (self.process.pid, *pids):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

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

    def cancel(self, execution_id: str) -> dict[str, Any]:
        """Ask for the end of an execution and return the answer."""
        return dict(self.client.post(f"/api/executions/{execution_id}/cancel").json())

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the SQLite file, as a person with another program would."""
        path = f"file:{self.data_dir / 'cauce.db'}?mode=ro"
        with closing(sqlite3.connect(path, uri=True, timeout=10)) as connection:
            return connection.execute(statement, values).fetchall()

    def events(self, execution_id: str) -> list[tuple[str, str | None, dict[str, Any]]]:
        """Return type, node id and data of each event of an execution, in order."""
        statement = "SELECT type, nodeId, data FROM cauce_events WHERE executionId = ? ORDER BY seq"
        rows = self.sql(statement, execution_id)
        return [(kind, node, json.loads(data)) for kind, node, data in rows]

    def until(self, reads: Callable[[], T], what: str, seconds: float = 20.0) -> T:
        """Return the first true answer of `reads`; fail with `what` after so many seconds."""
        deadline = time.monotonic() + seconds
        while not (found := reads()):
            assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
            time.sleep(0.02)  # a front end's polling interval
        return found

    def wait(self, execution_id: str, seconds: float = 30.0) -> dict[str, Any]:
        """Poll until the execution is final and return its last picture."""
        what = f"the end of {execution_id}"
        self.until(lambda: self.poll(execution_id)["status"] in FINAL, what, seconds)
        return self.poll(execution_id)

    def wait_inside(self, execution_id: str, node_id: str) -> None:
        """Poll until a node of the execution is the one that runs."""

        def inside() -> bool:
            seen = self.poll(execution_id)
            last = [log["status"] for log in seen["logs"] if log["nodeId"] == node_id]
            return seen["status"] == "running" and last[-1:] == ["running"]

        self.until(inside, f"{execution_id} inside {node_id}")

    def stop(self) -> float:
        """Press Ctrl+C, wait for the end, and return how many seconds it took."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return time.monotonic() - began

    def run(
        self, document: Mapping[str, Any], inputs: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Store a workflow, execute it, and return the final picture."""
        return self.wait(self.execute(self.save(document), inputs))


@contextmanager
def service(
    data_dir: Path, prefect_database: Path | None = None, **settings: str
) -> Iterator[Service]:
    """Start a service that is ready for work, yield it, and stop it with Ctrl+C's signal.

    With `prefect_database` (see `tests.servers.prefect_template`) its Prefect need not make one.
    """
    api_port, prefect_port = free_port(), free_port()
    data_dir.mkdir(parents=True, exist_ok=True)
    if prefect_database is not None:
        plant(prefect_database, data_dir)
    ports = {"API_PORT": str(api_port), "PREFECT_PORT": str(prefect_port)}
    log = data_dir / "service.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "start_service.py")],
            cwd=data_dir,
            env=_environment({"DATA_DIR": str(data_dir), **ports, **settings}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{api_port}"
    shown = settings.get("ORCHESTRATOR") != "direct" and "PREFECT_API_URL" not in settings
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
        found = Service(data_dir, api_port, prefect_port, process, client, log, shown)
        try:
            found.await_ready()
            yield found
        finally:
            found.stop()


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    ours = {name.upper() for name in Settings.model_fields}
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith("PREFECT_")
    }
    return {**inherited, "HTTP_ALLOWED_HOSTS": "127.0.0.1", "NO_COLOR": "1", **settings}
