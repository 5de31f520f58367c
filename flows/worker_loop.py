"""The worker's loop: claims executions, carries many of them at once, keeps their leases."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from config import Settings
from core.errors import CauceError, LeaseLost, StorageUnavailable
from flows.circuit import Circuit
from flows.launch import MAX_INTERRUPTIONS, Launcher
from flows.lease_keeper import LeaseKeeper
from flows.segment import Segment, Stop
from store import leases, transitions
from store.changes import Lease
from store.engine import Database
from store.leases import Heartbeat, Held
from store.transitions import Claimed
from store.wakeup import Ear, News

DRAIN_SECONDS = 8.0
"""The longest that running nodes may go on after a stop was asked for."""
DRAIN_SHARE = 0.4
"""They get this much of `STOP_SECONDS` at most. The rest is for cutting them off, handing their
leases back, and the processes that are stopped after this one.
"""
POSTPONE_SECONDS = 2.0
log = logging.getLogger("cauce.worker")


def owner_name(settings: Settings) -> str:
    """Return the name that leases bear: worker, machine and process."""
    return f"{settings.worker_name}@{socket.gethostname()}:{os.getpid()}"


@dataclass(slots=True)
class Running:
    """An execution in hand; its segment is there once it is loaded."""

    lease: Lease
    task: asyncio.Task[None]
    segment: Segment | None = None
    stop: Stop | None = None

    def ask_to_stop(self, why: Stop, by: str | None = None) -> None:
        """Stop the segment, now or as soon as it is loaded; `by` asked for it."""
        self.stop = self.stop or why
        if self.segment is not None:
            self.segment.cancelled_by = by
            self.segment.stop(why)


class WorkerLoop:
    """The claims, the executions in hand, and their end."""

    def __init__(
        self, settings: Settings, database: Database, launcher: Launcher, circuit: Circuit
    ) -> None:
        self._settings = settings
        self._database = database
        self._launcher = launcher
        self._circuit = circuit
        self._loop = asyncio.get_running_loop()
        self._running: dict[str, Running] = {}
        self._news = asyncio.Event()
        self._draining = False
        self._keeper = LeaseKeeper(settings, self._snapshot, self._report_from_thread)
        self.name = owner_name(settings)

    async def run(self) -> None:
        """Claim and carry executions until `drain` is called, then let go of what is left."""
        await self._bury_dead_workers()
        keeper = self._keeper
        keeper.start()
        ear = await Ear.open(self._settings.data_dir, self.name, self._hear)
        log.info("ready for work")
        try:
            while not self._draining:
                await self._claim_or_wait()
            await self._let_go()
        finally:
            ear.close()
            keeper.stop()
            await self._database.write(partial(leases.bury, worker=self.name))

    @property
    def _observability(self) -> str:
        """How executions of this worker can be watched: in Prefect, not just now, or not at all."""
        wanted = self._settings.orchestrator
        return self._circuit.observability if wanted == "prefect" else "direct"

    def drain(self) -> None:
        """Take no more work and hand back what is running after a grace (any thread)."""
        self._loop.call_soon_threadsafe(self._begin_drain)

    def _begin_drain(self) -> None:
        self._draining = True
        self._news.set()

    def _hear(self, news: News) -> None:
        if news is not News.WORK:
            task = asyncio.create_task(self._look_for_wishes())
            task.add_done_callback(_log_fault)
        self._news.set()

    async def _claim_or_wait(self) -> None:
        free = self._settings.worker_concurrency - len(self._running)
        self._news.clear()
        try:
            claimed = await self._claim(free) if free > 0 else []
        except StorageUnavailable:
            claimed = []
            log.warning("the database does not accept writes: waiting")
        if not claimed:
            await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(self._settings.poll_seconds):
                await self._news.wait()
        except TimeoutError:
            return

    async def _claim(self, limit: int) -> list[Claimed]:
        due = await self._database.read(leases.next_due)
        if due is None or due > 0:
            return []
        claimed = await self._database.write(
            partial(
                transitions.claim,
                worker=self.name,
                limit=limit,
                lease_ms=round(self._settings.lease_seconds * 1000),
                observability=self._observability,
                take_over=self._keeper.steady,
            )
        )
        for one in claimed:
            task = asyncio.create_task(self._carry(one), name=one.lease.execution_id)
            self._running[one.lease.execution_id] = Running(one.lease, task)
        return claimed

    async def _carry(self, claimed: Claimed) -> None:
        """Carry one execution; whatever happens, it is let go of in the end."""
        running = self._running[claimed.lease.execution_id]
        ended = False
        try:
            ended = await self._load_and_carry(claimed, running)
        except LeaseLost:
            ended = True
            log.warning(
                "execution %s was taken over or ended elsewhere", running.lease.execution_id
            )
        except Exception:
            log.exception(
                "execution %s stops here and is taken up again", running.lease.execution_id
            )
        finally:
            if not ended:
                await self._give_up(running)
            if self._running.get(claimed.lease.execution_id) is running:
                del self._running[claimed.lease.execution_id]
            self._news.set()

    async def _load_and_carry(self, claimed: Claimed, running: Running) -> bool:
        try:
            segment = await self._launcher.load(claimed)
        except StorageUnavailable:
            return False
        except CauceError as error:
            await self._launcher.reject(claimed, error)
            return True
        except Exception:
            if claimed.interruptions < MAX_INTERRUPTIONS:
                raise
            log.exception("execution %s cannot be loaded", claimed.lease.execution_id)
            await self._launcher.give_up(claimed)
            return True
        running.segment = segment
        if running.stop is not None:
            segment.stop(running.stop)
        return await self._launcher.carry(segment, claimed)

    async def _give_up(self, running: Running) -> None:
        """Let others take the execution: at once when draining, or when a pause was withdrawn just
        before it began; later after a fault.
        """
        if running.stop is Stop.LEASE_LOST:
            return
        pausing = running.segment is not None and running.segment.pausing
        statements: Callable[..., None] = (
            partial(leases.release, leases=[running.lease])
            if self._draining or pausing
            else partial(
                leases.postpone, lease=running.lease, delay_ms=round(POSTPONE_SECONDS * 1000)
            )
        )
        try:
            await self._database.write(statements)
        except StorageUnavailable:
            log.warning("the lease on %s expires by itself", running.lease.execution_id)

    async def _look_for_wishes(self) -> None:
        self._report({}, await self._database.read(partial(leases.held, worker=self.name)))

    def _snapshot(self) -> tuple[Heartbeat, dict[str, int]]:
        running = {key: value.lease.epoch for key, value in self._running.copy().items()}
        capacity = 0 if self._draining else self._settings.worker_concurrency
        beat = Heartbeat(self.name, capacity, len(running), self._observability)
        return beat, running

    def _report_from_thread(self, asked: dict[str, int], held: list[Held]) -> None:
        self._loop.call_soon_threadsafe(self._report, asked, held)

    def _report(self, asked: dict[str, int], held: list[Held]) -> None:
        """Stop what is no longer ours, and what someone asked to cancel or to pause."""
        still = {one.lease.execution_id: one for one in held}
        for execution_id, epoch in asked.items():
            one = still.get(execution_id)
            running = self._running.get(execution_id)
            gone = one is None or one.lease.epoch != epoch
            if gone and running is not None and running.lease.epoch == epoch:
                running.ask_to_stop(Stop.LEASE_LOST)
        for execution_id, one in still.items():
            running = self._running.get(execution_id)
            if running is None:
                continue
            if one.cancel_requested:
                running.ask_to_stop(Stop.CANCEL, one.cancelled_by)
            if running.segment is not None:
                running.segment.pause(one.pause_requested)

    async def _let_go(self) -> None:
        tasks = [running.task for running in self._running.values()]
        if not tasks:
            return
        log.info("stopping: %d executions are running", len(tasks))
        drain = min(DRAIN_SECONDS, self._settings.stop_seconds * DRAIN_SHARE)
        await asyncio.wait(tasks, timeout=drain)
        for running in self._running.values():
            running.ask_to_stop(Stop.DRAIN)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _bury_dead_workers(self) -> None:
        """Free at once what a worker of this name held here whose process is gone."""
        mine = self.name.rsplit(":", 1)[0] + ":"
        try:
            for owner in await self._database.read(leases.owners):
                if owner.startswith(mine) and owner != self.name and not _alive(owner[len(mine) :]):
                    await self._database.write(partial(leases.bury, worker=owner))
        except StorageUnavailable:
            log.warning("the leases of a dead worker expire by themselves")


def _alive(process_id: str) -> bool:
    if os.name == "nt":  # where signal 0 is no question but an end
        return True
    try:
        os.kill(int(process_id), 0)
    except (ProcessLookupError, ValueError):
        return False
    except OSError:
        return True
    return True


def _log_fault(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("looking for cancels and pauses failed: %r", task.exception())
