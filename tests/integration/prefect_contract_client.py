"""What Prefect does, tried on a running server and printed as one JSON object.

Run by `test_prefect_contract.py` in a child process with the environment of a worker.
"""

import asyncio
import json
import signal
import sys
import tempfile
import threading
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import fastapi
import prefect
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import AsyncClientContext, SyncClientContext
from prefect.runtime import flow_run
from prefect.server.database import provide_database_interface
from prefect.settings import PREFECT_HOME, Settings
from prefect.settings.legacy import _get_settings_fields
from prefect.states import Cancelled
from sqlalchemy import event, text

from flows.prefect_app import ImmediateSqlite, begin_immediately

STORAGE = Path(PREFECT_HOME.value()) / "storage"
seen: list[list[str]] = []


def positional(*arguments: Any, **_: Any) -> None:
    """Record the classes of the three arguments of a hook."""
    seen.append([type(argument).__name__ for argument in arguments])


def by_flow_names(flow: Any, flow_run: Any, state: State[Any]) -> None:
    """Record a state under the names that a runner passes by keyword."""
    seen.append(["flow", flow_run.name, state.name or ""])


async def by_task_names(task: Any, task_run: Any, state: State[Any]) -> None:
    """Record a state of a task, asynchronously."""
    seen.append(["task", task_run.name, state.name or ""])


def broken(*_: Any, **__: Any) -> None:
    """Fail, as a hook should not."""
    raise RuntimeError("a hook that fails")


@task(persist_result=False, task_run_name="node-{name}", on_completion=[by_task_names, broken])
async def node(name: str) -> str:
    """Return its name."""
    return name


@flow(
    flow_run_name="execution-{execution_id}",
    persist_result=False,
    result_storage=STORAGE,
    on_running=[positional],
    on_completion=[broken, by_flow_names],
)
async def joined(execution_id: str) -> Any:
    """Run two nodes, and a third that waits for both."""
    run: Any = node
    first = await run("a", return_state=True)
    second = await run("b", return_state=True)
    await run("c", wait_for=[first, second], return_state=True)
    return flow_run.get_id()


@flow(persist_result=False, result_storage=STORAGE)
async def trivial() -> str:
    """Run one node."""
    return await node.with_options(on_completion=[by_task_names])("x")


@flow(persist_result=False, result_storage=STORAGE)
async def patient(started: asyncio.Event) -> Any:
    """Wait until cancelled, and say so."""
    started.set()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return Cancelled(message=flow_run.get_id())


@flow(persist_result=False, result_storage=STORAGE)
async def handler_inside() -> str:
    """Return what SIGTERM does while a flow runs."""
    return repr(signal.getsignal(signal.SIGTERM))


async def cancel() -> str:
    """Cancel the asyncio task of a running flow and return the flow run's id."""
    started = asyncio.Event()
    running = asyncio.ensure_future(patient(started, return_state=True))
    await started.wait()
    running.cancel()
    return str((await running).message)


async def hydrate() -> Any:
    """Return the parameters of a deployment's run, given a reference to a stored variable."""
    async with get_client() as client:
        await client._client.post("/variables/", json={"name": "canary", "value": "secret"})
        flow_id = await client.create_flow(joined)
        deployment = await client.create_deployment(flow_id=flow_id, name="d")
        reference = {"__prefect_kind": "workspace_variable", "variable_name": "canary"}
        parameters = {"reference": reference, "execution_id": "exec_1"}
        run = await client.create_flow_run_from_deployment(deployment, parameters=parameters)
        return run.parameters


async def begin_statement() -> list[str]:
    """Return the SQL by which our configuration of the database begins a transaction."""
    statements: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        config = ImmediateSqlite(connection_url=f"sqlite+aiosqlite:///{folder}/empty.db")
        engine = await config.engine()
        event.listen(
            engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2])
        )
        async with await config.session(engine) as session, config.begin_transaction(session):
            await session.execute(text("SELECT 1"))
        await engine.dispose()
    return statements


async def on_the_loop() -> dict[str, Any]:
    """Return what a worker meets on its own loop, with both clients held open."""
    with ExitStack() as stack:
        stack.enter_context(SyncClientContext.get_or_create())
        async with AsyncClientContext.get_or_create():
            joined_state = await joined("exec_1", return_state=True)
            states = await asyncio.gather(*(trivial(return_state=True) for _ in range(16)))
            return {
                "joined": str(await joined_state.result()),
                "hooks": seen[:5],
                "sixteen": [state.type.value for state in states],
                "cancelled": await cancel(),
                "hydrated": await hydrate(),
                "handler": await handler_inside(),
                "begin": await begin_statement(),
            }


def in_a_thread(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run `work` in a loop of its own in a thread that is not the main one."""
    results: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(work)))
    thread.start()
    thread.join()
    return results[0]


def main() -> None:
    """Try everything and print it."""
    before = repr(signal.getsignal(signal.SIGTERM))
    facts = in_a_thread(on_the_loop())
    facts["handler_before"] = before
    facts["handler_on_main"] = asyncio.run(handler_inside())
    facts["versions"] = [prefect.__version__, fastapi.__version__]
    facts["settings"] = sorted(_get_settings_fields(Settings))
    begin_immediately("sqlite+aiosqlite:///never-opened.db")
    facts["configuration"] = type(provide_database_interface().database_config).__name__
    sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
