"""The worker's spare work: once an hour, what has ended long ago is deleted."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from core.errors import StorageUnavailable
from store import retention
from store.engine import Database

EVERY_SECONDS = 3600.0
PAUSE_SECONDS = 0.05
"""Between two transactions, for those who have something to write."""
log = logging.getLogger("cauce.retention")


@asynccontextmanager
async def pruning(database: Database, owner: str, days: int) -> AsyncGenerator[None]:
    """Delete what is too old for the time of a `with` block: at once, and then once an hour."""
    task = asyncio.create_task(_hourly(database, owner, days), name="retention")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _hourly(database: Database, owner: str, days: int) -> None:
    while True:
        try:
            deleted = await prune_all(database, owner, days)
            if deleted:
                log.info("deleted %d rows of executions that ended long ago", deleted)
        except StorageUnavailable:
            log.warning("old executions are not deleted: the database does not accept writes")
        except Exception:  # the next hour may be better, and nothing else depends on it
            log.exception("deleting old executions failed")
        await asyncio.sleep(EVERY_SECONDS)


async def prune_all(database: Database, owner: str, days: int) -> int:
    """Delete everything that is too old; return how many rows. Raises `StorageUnavailable`."""
    deleted = 0
    more = True
    while more:
        step = await database.write(partial(retention.prune, owner=owner, default_days=days))
        deleted, more = deleted + step.rows, step.more
        await asyncio.sleep(PAUSE_SECONDS if more else 0)
    more = deleted > 0
    while more:
        more = await database.write(retention.free_space)
        await asyncio.sleep(PAUSE_SECONDS if more else 0)
    await database.write(partial(retention.leave_duty, owner=owner))
    return deleted
