"""What happens to the service: processes killed or frozen, its database locked or restarted."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import psutil

from tests.chaos.observations import Deed, DeedKind, Observations
from tests.servers.postgres import PostgresServer
from tests.servers.service import Service

LOCK_SECONDS = (0.1, 6.0)
FREEZE_SECONDS = (3.0, 8.0)
APART = {"postgres": 12.0, "kill prefect": 30.0, "lock": 8.0, "freeze": 10.0}
"""Seconds at least between two of a kind: what is down cannot be hit."""
WEIGHTS = {
    "kill worker": 10,
    "kill api": 5,
    "freeze": 3,
    "lock": 2,
    "postgres": 2,
    "kill prefect": 2,
}
# It lets go of the lock when the time is over, or when nobody holds the pipe any more.
_HOLD = """
import select, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
select.select([sys.stdin], [], [], float(sys.argv[2]))
connection.execute("ROLLBACK")
"""


@dataclass(frozen=True)
class Victims:
    """What may be hit: a service with so many workers, and its PostgreSQL if it is on one."""

    service: Service
    workers: int
    postgres: PostgresServer | None = None

    def kinds(self) -> list[str]:
        """The deeds that make sense here."""
        unfit = {"lock"} if self.postgres is not None else {"postgres"}
        unfit |= set() if self.service.with_prefect else {"kill prefect"}
        return [kind for kind in WEIGHTS if kind not in unfit]

    def find(self, name: str) -> psutil.Process | None:
        """Return a child of the service by name, if it is alive and really the service's own."""
        with suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(self.service.pid(name))
            if process.ppid() == self.service.process.pid:
                return process
        return None


class Nemesis:
    """Does a random deed every `gap` seconds, and notes it."""

    def __init__(
        self, victims: Victims, seed: int, seen: Observations, gap: tuple[float, float]
    ) -> None:
        self._victims = victims
        self._chance = Random(f"nemesis {seed}")
        self._seen = seen
        self._gap = gap
        self._last: dict[str, float] = {}
        self._lasting: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> None:
        """Go on for so many seconds; whatever was frozen or locked is free again afterwards."""
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                await asyncio.sleep(self._chance.uniform(*self._gap))
                self._act(self._chosen())
        finally:
            await asyncio.gather(*self._lasting)

    def _chosen(self) -> str:
        now = time.monotonic()
        kinds = [
            kind
            for kind in self._victims.kinds()
            if now - self._last.get(kind, -1000) >= APART.get(kind, 0)
        ]
        kind = self._chance.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0]
        self._last[kind] = now
        return kind

    def _act(self, kind: str) -> None:
        match kind:
            case "kill api":
                self._kill(kind, "api")
            case "kill prefect":
                self._kill(kind, "prefect")
            case "kill worker":
                self._kill(kind, self._worker())
            case "freeze":
                self._spawn(self._freeze(self._worker()))
            case "lock":
                self._spawn(self._lock(self._chance.uniform(*LOCK_SECONDS)))
            case _:
                self._spawn(self._restart_postgres())

    def _worker(self) -> str:
        return f"worker-{self._chance.randint(1, self._victims.workers)}"

    def _spawn(self, deed: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(deed)
        self._lasting.add(task)
        task.add_done_callback(self._lasting.discard)

    def _note(self, deed: Deed) -> None:
        self._seen.deeds.append(deed)

    def _kill(self, kind: DeedKind, name: str) -> None:
        process = self._victims.find(name)
        if process is None:
            return
        deed = Deed(kind, time.time(), process.pid)
        with suppress(psutil.Error):
            process.kill()
            self._note(deed)

    async def _freeze(self, name: str) -> None:
        process = self._victims.find(name)
        if process is None:
            return
        deed = Deed("freeze", time.time(), process.pid)
        seconds = self._chance.uniform(*FREEZE_SECONDS)
        try:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGSTOP)
                self._note(deed)
                await asyncio.sleep(seconds)
        finally:
            with suppress(psutil.Error):  # it may have been killed since
                process.send_signal(signal.SIGCONT)
            deed.seconds = time.time() - deed.at

    async def _lock(self, seconds: float) -> None:
        file = self._victims.service.data_dir / "cauce.db"
        self._note(Deed("lock", time.time(), seconds=seconds))
        await asyncio.to_thread(hold_lock, file, seconds)

    async def _restart_postgres(self) -> None:
        assert self._victims.postgres is not None
        deed = Deed("postgres", time.time())
        self._note(deed)
        await asyncio.to_thread(self._victims.postgres.restart)
        deed.seconds = time.time() - deed.at


def hold_lock(file: Path, seconds: float) -> None:
    """Hold SQLite's write lock from another process; it ends with this one in any case."""
    command = [sys.executable, "-c", _HOLD, str(file), str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=dict(os.environ)) as holder:
        try:
            holder.wait(seconds + 30)
        finally:
            holder.kill()
