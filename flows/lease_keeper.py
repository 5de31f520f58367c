"""Keeps a worker's leases, from a thread of its own: a blocked event loop cannot lose them."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable
from functools import partial

from config import Settings
from core.errors import StorageUnavailable
from store import leases
from store.engine import Database
from store.leases import Heartbeat, Held

log = logging.getLogger("cauce.leases")
Snapshot = Callable[[], tuple[Heartbeat, dict[str, int]]]
"""Returns what the worker says of itself, and the epochs of the executions that it runs."""
Report = Callable[[dict[str, int], list[Held]], None]
"""Takes what was asked for (execution id to epoch) and what is still held."""


class LeaseKeeper:
    """Renews every `LEASE_SECONDS` / 3, three chances before a lease expires."""

    def __init__(self, settings: Settings, snapshot: Snapshot, report: Report) -> None:
        self._settings = settings
        self._snapshot = snapshot
        self._report = report
        self._renewed = self._faltered = -math.inf
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._main, name="leases", daemon=True)

    def steady(self) -> bool:
        """Tell whether an expired lease shows that its worker is gone (any thread).

        Not so where nobody could renew: while the database was locked or away, or the machine
        asleep. Then every worker first gets the time of a lease to renew its own.
        """
        now, lease = time.monotonic(), self._settings.lease_seconds
        return now - self._renewed < lease * 2 / 3 and now - self._faltered > lease

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after a renewal under way."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _main(self) -> None:
        asyncio.run(self._keep())

    async def _keep(self) -> None:
        database = Database.open(self._settings)
        try:
            while not self._stop.is_set():
                await self._renew(database)
                self._stop.wait(self._settings.lease_seconds / 3)
        finally:
            await database.close()

    async def _renew(self, database: Database) -> None:
        heartbeat, running = self._snapshot()
        lease_ms = round(self._settings.lease_seconds * 1000)
        keep = partial(leases.keep, heartbeat=heartbeat, ids=running, lease_ms=lease_ms)
        one = partial(leases.renew, worker=heartbeat.name, lease_ms=lease_ms, patient=True)
        try:
            held = await database.write(keep)
            busy = running.keys() - {found.lease.execution_id for found in held}
            for execution_id in busy:
                held += await database.write(partial(one, ids=[execution_id]))
        except StorageUnavailable:
            log.warning("leases could not be renewed: the database does not accept writes")
        except Exception:  # this thread must not die: all leases would be lost one after the other
            log.exception("leases could not be renewed")
        else:
            self._note_renewal(time.monotonic())
            self._report(running, held)

    def _note_renewal(self, now: float) -> None:
        if now - self._renewed > self._settings.lease_seconds * 2 / 3 and self._renewed > 0:
            self._faltered = now
        self._renewed = now
