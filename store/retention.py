"""Deleting what has ended long ago, little by little, so that writers are not held up."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from database import duties, events, execution_logs, node_runs, payload_uses, payloads
from database import workflow_executions as executions
from store.clock import now_ms, timestamp
from store.transitions import ENDED

_E = executions.c
DUTY = "retention"
BATCH = 500
"""Most rows that one transaction deletes."""
DUTY_MS = 60_000
"""After so long without a sign, another worker takes the duty over."""
YOUNG_SECONDS = 3600
"""Payloads younger than this stay: an execution may be about to use them."""
PAGES = 250
"""Pages of an SQLite file that one transaction gives back."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one transaction deleted: `rows` of all kinds, and whether there may be more."""

    rows: int
    more: bool


def take_duty(connection: sa.Connection, owner: str) -> bool:
    """Be the one worker that deletes, or go on being it; tell whether that succeeded."""
    free = sa.or_(duties.c.owner == owner, duties.c.until <= now_ms())
    mine = duties.update().where(duties.c.name == DUTY, free)
    if connection.execute(mine.values(owner=owner, until=now_ms() + DUTY_MS)).rowcount:
        return True
    there = sa.exists().where(duties.c.name == DUTY)
    row = sa.select(sa.literal(DUTY), sa.literal(owner), now_ms() + DUTY_MS).where(~there)
    insert = duties.insert().from_select(["name", "owner", "until"], row)
    return bool(connection.execute(insert).rowcount)


def leave_duty(connection: sa.Connection, owner: str) -> None:
    """Let another worker delete."""
    mine = duties.update().where(duties.c.name == DUTY, duties.c.owner == owner)
    connection.execute(mine.values(until=0))


def prune(connection: sa.Connection, owner: str, default_days: int) -> Pruned:
    """Delete some of what has ended longer ago than it is to be kept.

    `default_days` holds where the workflow said nothing; 0 keeps for ever. An execution goes last,
    after its events, logs, node runs and payloads.
    """
    if not take_duty(connection, owner):
        return Pruned(0, more=False)
    left = BATCH
    for execution_id in _expired(connection, default_days):
        left -= _delete_parts(connection, execution_id, left)
        if left <= 0:
            break
        connection.execute(executions.delete().where(_E.id == execution_id))
        left -= 1
    return Pruned(BATCH - left, more=left < BATCH)


def _expired(connection: sa.Connection, default_days: int) -> list[str]:
    now = datetime.now(UTC)
    found: list[str] = []
    for kept_as, days in _terms(connection, default_days):
        before = timestamp(now - timedelta(days=days))
        chosen = sa.select(_E.id).where(
            _E.epoch.is_not(None),
            _E.retentionDays == kept_as if kept_as is not None else _E.retentionDays.is_(None),
            _E.completedAt < before,
            _E.status.in_(ENDED),
        )
        oldest = chosen.order_by(_E.completedAt).limit(BATCH - len(found))
        found += connection.execute(oldest).scalars()
    return found


def _terms(connection: sa.Connection, default_days: int) -> Iterator[tuple[int | None, int]]:
    """Yield every term that executions bear, `None` for the default, with its days."""
    if default_days:
        yield None, default_days
    own = sa.select(_E.retentionDays).where(_E.epoch.is_not(None), _E.retentionDays > 0)
    for days in connection.execute(own.distinct()).scalars().all():
        if days is not None:
            yield days, days


def _delete_parts(connection: sa.Connection, execution_id: str, most: int) -> int:
    """Delete up to `most` rows that belong to an execution; return how many."""
    deleted = 0
    for table, key in (
        (execution_logs, execution_logs.c.id),
        (events, events.c.seq),
        (node_runs, node_runs.c.nodeId),
    ):
        if deleted < most:
            deleted += _delete_some(connection, table, key, execution_id, most - deleted)
    if deleted < most:
        deleted += _delete_payloads(connection, execution_id, most - deleted)
    return deleted


def _delete_some(
    connection: sa.Connection, table: sa.Table, key: Any, execution_id: str, most: int
) -> int:
    own = table.c.executionId == execution_id
    some = sa.select(key).where(own).order_by(key).limit(most)
    return connection.execute(table.delete().where(own, key.in_(some))).rowcount


def _delete_payloads(connection: sa.Connection, execution_id: str, most: int) -> int:
    """Give up an execution's use of large values; delete those that nobody else uses."""
    used = payload_uses.c
    chosen = sa.select(used.hash).where(used.executionId == execution_id).limit(most)
    hashes = list(connection.execute(chosen).scalars())
    if not hashes:
        return 0
    own = payload_uses.delete().where(used.executionId == execution_id, used.hash.in_(hashes))
    connection.execute(own)
    young = timestamp(datetime.now(UTC) - timedelta(seconds=YOUNG_SECONDS))
    elsewhere = sa.exists().where(used.hash == payloads.c.hash)
    unused = payloads.delete().where(
        payloads.c.hash.in_(hashes), ~elsewhere, payloads.c.createdAt < young
    )
    connection.execute(unused)
    return len(hashes)


def free_space(connection: sa.Connection) -> bool:
    """Give some of an SQLite file's empty pages back; tell whether there are more."""
    if connection.dialect.name != "sqlite":
        return False
    if connection.exec_driver_sql("PRAGMA auto_vacuum").scalar() != 2:  # a file made by others
        return False
    empty = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)
    for _ in range(min(empty, PAGES)):  # the driver stops after the first page of many
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    return empty > PAGES
