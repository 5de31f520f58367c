"""The worker as a process: its loop in a thread of its own, the signals in the main one.

Prefect's engine installs no signal handler outside the main thread. Importing this module imports
Prefect, so `flows.worker` sets its environment first.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable

from config import Settings
from flows.circuit import Circuit, probed
from flows.launch import Launcher
from flows.plans import Plans
from flows.prefect_client import prefect_session
from flows.prefect_settings import prefect_api_url
from flows.retention import pruning
from flows.segment import Worker
from flows.worker_loop import WorkerLoop
from store import schema
from store.engine import Database
from tasks.load import load_node_types
from tasks.resources import Resources

log = logging.getLogger("cauce.worker")


async def work(settings: Settings, started: Callable[[WorkerLoop], None]) -> None:
    """Run a worker until it is drained; `started` is told its loop."""
    database = Database.open(settings)
    registry = load_node_types()
    circuit = Circuit()
    try:
        await schema.prepare(database)
        async with (
            Resources(settings) as resources,
            prefect_session(),
            probed(circuit, prefect_api_url(settings)),
        ):
            worker = Worker(settings, resources, registry.types())
            plans = Plans(database, registry.catalogue(), lenient=settings.lenient_node_types)
            loop = WorkerLoop(
                settings, database, Launcher(database, worker, plans, circuit), circuit
            )
            started(loop)
            async with pruning(database, loop.name, settings.retention_days):
                await loop.run()
    finally:
        await database.close()


def run(settings: Settings) -> int:
    """Run a worker until SIGTERM or SIGINT; return the exit code."""
    loops: list[WorkerLoop] = []
    asked, failed = threading.Event(), threading.Event()

    def begin(loop: WorkerLoop) -> None:
        loops.append(loop)
        if asked.is_set():
            loop.drain()

    def target() -> None:
        try:
            asyncio.run(work(settings, begin))
        except Exception:
            log.exception("the worker stops")
            failed.set()

    def stop(_signal: int, _frame: object) -> None:
        asked.set()
        for loop in loops:
            loop.drain()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    thread = threading.Thread(target=target, name="worker")
    thread.start()
    while thread.is_alive():
        thread.join(0.2)  # a plain join would hold signals up until it returns
    return 1 if failed.is_set() else 0
