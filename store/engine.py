"""How the database is reached: reads at once, writes in groups that share a commit.

Store functions are written once, against a plain `sqlalchemy.Connection`. On SQLite they run in
threads of their own (five times faster than statement by statement over aiosqlite; see
`docs/decisions/`), on PostgreSQL in the loop over asyncpg.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import local
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

from config import Settings
from core.errors import StorageUnavailable
from database import database_url

T = TypeVar("T")
Statements = Callable[[sa.Connection], T]
BUSY_SECONDS = 4.0
"""How long SQLite waits for another process's lock before a write gives up."""
CONFLICT_TRIES = 4
"""How often PostgreSQL may refuse a transaction because of another one before it counts."""
_CONFLICTS = {"40001", "40P01"}  # serialization failure, deadlock
GROUP_LIMIT = 256
"""Most writes in one commit."""


class Backend(Protocol):
    """One kind of database."""

    kind: str

    async def read(self, statements: Statements[T]) -> T:
        """Run statements in a read-only transaction."""
        ...

    async def write(self, statements: Statements[T]) -> T:
        """Run statements in one writing transaction and commit it."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class SqliteBackend:
    """One writing thread, two reading ones, each with a connection of its own."""

    kind = "sqlite"

    def __init__(self, url: sa.URL, synchronous: str) -> None:
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        self._engines = {mode: _sqlite_engine(url, synchronous, mode) for mode in ("read", "write")}
        self._threads = {
            "read": ThreadPoolExecutor(2, "db-read"),
            "write": ThreadPoolExecutor(1, "db-write"),
        }
        self._local = local()
        self._connections: list[sa.Connection] = []

    async def read(self, statements: Statements[T]) -> T:
        """Run statements on one snapshot."""
        return await self._in_thread("read", statements)

    async def write(self, statements: Statements[T]) -> T:
        """Run statements under SQLite's write lock, taken at BEGIN."""
        return await self._in_thread("write", statements)

    async def close(self) -> None:
        """Close the connections and end the threads."""
        for threads in self._threads.values():
            threads.shutdown(wait=True)
        for connection in self._connections:
            connection.close()
        for engine in self._engines.values():
            engine.dispose()

    async def _in_thread(self, mode: str, statements: Statements[T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads[mode], self._run, mode, statements)

    def _run(self, mode: str, statements: Statements[T]) -> T:
        connection: sa.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._engines[mode].connect()
            self._connections.append(connection)
        with connection.begin():
            return statements(connection)


def _sqlite_engine(url: sa.URL, synchronous: str, mode: str) -> sa.Engine:
    engine = sa.create_engine(
        url.set(drivername="sqlite+pysqlite"),
        poolclass=sa.NullPool,
        hide_parameters=True,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    begin = "BEGIN IMMEDIATE" if mode == "write" else "BEGIN"
    pragmas = ["journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"]

    @sa.event.listens_for(engine, "connect")
    def prepare(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # the driver's own BEGIN comes too late, and is deferred
        if not raw.execute("PRAGMA page_count").fetchone()[0]:
            # Only a file that was made so can give space back; asking again would need its lock.
            raw.execute("PRAGMA auto_vacuum=INCREMENTAL")
        for pragma in pragmas + (["query_only=ON"] if mode == "read" else []):
            raw.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def start(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


class PostgresBackend:
    """A pool of asyncpg connections; one more try when the server closed an idle connection."""

    kind = "postgresql"

    def __init__(self, url: sa.URL) -> None:
        self._engine = create_async_engine(
            url.set(drivername="postgresql+asyncpg"),
            hide_parameters=True,
            pool_size=5,
            max_overflow=10,
            pool_timeout=5,
            connect_args={"timeout": 5},
        )

    async def read(self, statements: Statements[T]) -> T:
        """Run statements in one transaction."""
        return await self._run(statements)

    async def write(self, statements: Statements[T]) -> T:
        """Run statements in one transaction and commit it."""
        return await self._run(statements)

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

    async def _run(self, statements: Statements[T]) -> T:
        for _ in range(CONFLICT_TRIES):
            try:
                return await self._once(statements)
            except DBAPIError as error:
                if not _worth_another_try(error):
                    raise
        return await self._once(statements)

    async def _once(self, statements: Statements[T]) -> T:
        async with self._engine.connect() as connection:
            transaction = await connection.begin()
            result = await connection.run_sync(statements)
            try:
                await transaction.commit()
            except DBAPIError as error:
                error.committing = True  # type: ignore[attr-defined]
                raise
            return result


def _worth_another_try(error: DBAPIError) -> bool:
    """Tell a closed connection or a deadlock from faults that would come again.

    Never after COMMIT was sent: a commit whose answer was lost may have happened.
    """
    if getattr(error, "committing", False):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or state in _CONFLICTS


@dataclass(slots=True)
class _Waiting:
    statements: Statements[Any]
    done: asyncio.Future[Any]


class Database:
    """Reads and grouped writes on one database, within one event loop."""

    def __init__(self, backend: Backend) -> None:
        self.kind = backend.kind
        self._backend = backend
        self._queue: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, settings: Settings) -> "Database":
        """Open the database that the settings name."""
        url = database_url(settings)
        if url.drivername == "sqlite":
            return cls(SqliteBackend(url, settings.database_synchronous))
        return cls(PostgresBackend(url))

    async def read(self, statements: Statements[T]) -> T:
        """Run statements that only read. Raises `StorageUnavailable`."""
        try:
            return await self._backend.read(statements)
        except (DBAPIError, OSError, sa.exc.TimeoutError) as error:
            raise unavailable(error) from error

    async def write(self, statements: Statements[T]) -> T:
        """Run statements that write; return once they are committed.

        Writes that wait at the same time share one transaction. Statements may run again when a
        neighbour in the group failed, so they must have no other effect than on the database.
        Raises `StorageUnavailable`, and whatever the statements raise (then nothing is changed).
        """
        waiting = _Waiting(statements, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all(), name="group-commit")
        return await waiting.done  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Finish the waiting writes and close the connections."""
        if self._writer is not None:
            await self._writer
        await self._backend.close()

    async def _write_all(self) -> None:
        while self._queue:
            group, self._queue = self._queue[:GROUP_LIMIT], self._queue[GROUP_LIMIT:]
            group = [waiting for waiting in group if not waiting.done.done()]
            if not group:
                continue
            try:
                results = await self._backend.write(partial(_run_group, group))
            except Exception as error:
                await self._write_alone(group, error)
            else:
                for waiting, result in zip(group, results, strict=True):
                    _settle(waiting.done, result)

    async def _write_alone(self, group: list[_Waiting], error: Exception) -> None:
        """Give each write a transaction of its own, so that one cannot fail its neighbours."""
        if len(group) == 1 or isinstance(unavailable(error), StorageUnavailable):
            for waiting in group:
                _fail(waiting.done, error)
            return
        for waiting in group:
            try:
                _settle(waiting.done, await self._backend.write(waiting.statements))
            except Exception as own:
                _fail(waiting.done, own)


def _run_group(group: list[_Waiting], connection: sa.Connection) -> list[Any]:
    return [waiting.statements(connection) for waiting in group]


def _settle(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(unavailable(error))


def unavailable(error: Exception) -> Exception:
    """Turn a fault of the database into `StorageUnavailable`; any other stays as it is."""
    fault = isinstance(error, (DBAPIError, OSError, sa.exc.TimeoutError))
    if not fault or isinstance(error, (IntegrityError, ProgrammingError, DataError)):
        return error
    return StorageUnavailable(retry_after=2)
