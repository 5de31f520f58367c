"""The demo: a service of its own in a temporary folder, one workflow, its result, and gone.

`./start.sh demo`. It takes free ports, reads no `.env`, calls no other machine, and leaves
nothing behind but, when it fails, the folder with its log.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from config import Settings, load_settings
from examples import data_server
from examples.demo_display import Display, result_text
from supervision.child import ChildSpec
from supervision.ports import free_port
from supervision.process_log import ProcessLog
from supervision.readiness import local_client, until_ready
from supervision.run_folder import RunFolder
from supervision.supervisor import Supervisor, on_stop_signal

DOCUMENT = Path(__file__).parent / "support_triage.json"

_READY_SECONDS = 90.0
_RUN_SECONDS = 120.0
_BETWEEN_POLLS = 0.1
_FINAL = frozenset({"completed", "failed", "cancelled"})
_INTERRUPTED = 130

ServiceChildren = Callable[[Settings, Mapping[str, str]], list[ChildSpec]]


class DemoError(Exception):
    """The demo did not work: the message says why."""


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demo lives."""

    folder: Path
    settings: Settings
    data_port: int

    @property
    def api(self) -> str:
        """The base address of the API."""
        return f"http://127.0.0.1:{self.settings.api_port}"

    @property
    def prefect(self) -> str:
        """The base address of Prefect's pages."""
        return f"http://127.0.0.1:{self.settings.prefect_port}"


async def run_demo(service_children: ServiceChildren) -> int:
    """Run the demo and return its exit code: 0, 1 if it failed, 130 after Ctrl+C."""
    console = Console(file=sys.stdout)
    demo = _set_up(Path(tempfile.mkdtemp(prefix="cauce-demo-")))
    try:
        await _run(demo, service_children, console)
    except (DemoError, httpx.HTTPError, TimeoutError) as error:
        reason = str(error) or "The service did not answer in time."
        _say(console, f"The demo failed. {reason}\nIts log: {_log_file(demo.folder)}")
        return 1
    except asyncio.CancelledError:
        shutil.rmtree(demo.folder, ignore_errors=True)
        return _INTERRUPTED
    shutil.rmtree(demo.folder, ignore_errors=True)
    return 0


def _set_up(folder: Path) -> Demo:
    """Choose ports, and hide the settings of the user's own service from everything we start."""
    for name in list(os.environ):
        if name.lower() in Settings.model_fields or name.startswith("PREFECT_"):
            del os.environ[name]
    data_port = free_port()
    os.environ |= {
        "API_PORT": str(free_port()),
        "PREFECT_PORT": str(free_port()),
        "DATA_DIR": str(folder / "data"),
        "HTTP_ALLOWED_HOSTS": f"{data_server.HOST}:{data_port}",
    }
    return Demo(folder, load_settings(env_file=None), data_port)


def _log_file(folder: Path) -> Path:
    return folder / "demo.log"


async def _run(demo: Demo, service_children: ServiceChildren, console: Console) -> None:
    _say(console, "Starting Prefect, the API, a worker and a server with example data ...")
    children = [*service_children(demo.settings, os.environ), _data_server(demo)]
    async with _supervised(demo, children), local_client() as client:
        async with asyncio.timeout(_READY_SECONDS):
            await until_ready(client, f"{demo.api}/ready")
            await _until_shown(client, f"{demo.api}/ready")
        _say(console, f"API {demo.api}/docs   Prefect {demo.prefect}")
        document = _document(demo.data_port)
        execution_id = await _start(client, demo, document)
        _say(console, f'Running "{document["name"]}" as execution {execution_id}')
        async with asyncio.timeout(_RUN_SECONDS):
            finished = await _watch(client, demo, execution_id, document, console)
    _tell_result(finished, console)


async def _until_shown(client: httpx.AsyncClient, ready: str) -> None:
    """Return once the worker has found Prefect: its first start makes a database, for seconds."""
    while (await client.get(ready)).json().get("observability") != "full":  # noqa: ASYNC110
        await asyncio.sleep(_BETWEEN_POLLS)


@asynccontextmanager
async def _supervised(demo: Demo, children: Sequence[ChildSpec]) -> AsyncIterator[None]:
    # In the temporary folder no child finds the `.env` of the user's own service.
    here = [replace(child, cwd=demo.folder) for child in children]
    with _log_file(demo.folder).open("w", encoding="utf-8") as out:
        log = ProcessLog(out, [child.name for child in here])
        try:
            with RunFolder(demo.settings.data_dir / "run") as folder:
                supervisor = Supervisor(here, folder, log)
                with on_stop_signal(_canceller(supervisor)):
                    async with supervisor:
                        yield
        finally:
            log.close()


def _canceller(supervisor: Supervisor) -> Callable[[], None]:
    """Return what to do on Ctrl+C: give up the first time, kill everything the second time."""
    running = asyncio.current_task()
    asked = False

    def react() -> None:
        nonlocal asked
        if asked:
            supervisor.kill()
        elif running:
            running.cancel()
        asked = True

    return react


def _data_server(demo: Demo) -> ChildSpec:
    argv = (sys.executable, "-P", "-m", "examples.data_server", "--port", str(demo.data_port))
    root = str(Path(__file__).resolve().parent.parent)
    return ChildSpec("data", argv, {**os.environ, "PYTHONPATH": root}, stop_stage=3)


def _document(data_port: int) -> dict[str, Any]:
    text = DOCUMENT.read_text("utf-8")
    host = data_server.HOST
    document: dict[str, Any] = json.loads(
        text.replace(f"{host}:{data_server.PORT}", f"{host}:{data_port}")
    )
    return document


async def _start(client: httpx.AsyncClient, demo: Demo, document: Mapping[str, Any]) -> str:
    saved = await _post(client, f"{demo.api}/api/workflows", document)
    request = {"workflowId": saved["id"], "inputs": {}}
    started = await _post(client, f"{demo.api}/api/workflows/execute", request)
    return str(started["executionId"])


async def _watch(
    client: httpx.AsyncClient,
    demo: Demo,
    execution_id: str,
    document: Mapping[str, Any],
    console: Console,
) -> Mapping[str, Any]:
    address = f"{demo.api}/api/executions/{execution_id}"
    with Display(console, document["data"]["nodes"]).open() as display:
        while True:
            execution = await _get(client, address)
            logs = await _get(client, f"{address}/logs")
            display.update(execution, logs["logs"])
            if execution["status"] in _FINAL:
                return execution
            await asyncio.sleep(_BETWEEN_POLLS)


def _tell_result(execution: Mapping[str, Any], console: Console) -> None:
    if execution["status"] != "completed":
        why = execution.get("error") or "No reason was given."
        raise DemoError(f"The execution ended as {execution['status']}: {why}")
    _say(console, f"\nResult:\n{result_text(execution.get('finalOutput'))}\n")
    _say(
        console,
        "Everything was stopped and removed. ./start.sh keeps a service running: its flow runs "
        "are shown by Prefect at http://127.0.0.1:4200",
    )


async def _post(client: httpx.AsyncClient, address: str, body: object) -> dict[str, Any]:
    return _checked(await client.post(address, json=body))


async def _get(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    return _checked(await client.get(address))


def _checked(response: httpx.Response) -> dict[str, Any]:
    if response.is_error:
        raise DemoError(
            f"{response.request.method} {response.request.url.path} answered "
            f"{response.status_code}: {response.text[:2000]}"
        )
    answer: dict[str, Any] = response.json()
    return answer


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
