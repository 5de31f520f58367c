"""Leases: how a worker keeps, loses and hands back its right to write to an execution."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.status import ExecutionStatus
from database import workers
from database import workflow_executions as executions
from store.changes import Lease
from store.clock import now_ms, timestamp

_E = executions.c
_HELD = (_E.id, _E.epoch, _E.cancelRequestedAt, _E.cancelledBy, _E.pauseRequestedAt)


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that is still this worker's, and whether someone asked to cancel or to pause."""

    lease: Lease
    cancel_requested: bool
    pause_requested: bool = False
    cancelled_by: str | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a worker says of itself at each renewal."""

    name: str
    capacity: int
    running: int
    observability: str


def beat(connection: sa.Connection, heartbeat: Heartbeat) -> None:
    """Tell that a worker is alive, by the database's clock."""
    values = {
        "capacity": heartbeat.capacity,
        "running": heartbeat.running,
        "observability": heartbeat.observability,
        "seenAt": now_ms(),
    }
    changed = connection.execute(
        workers.update().where(workers.c.name == heartbeat.name).values(values)
    )
    if not changed.rowcount:
        row = {"name": heartbeat.name, "startedAt": timestamp(), **values}
        connection.execute(workers.insert().values(row))


def alive(connection: sa.Connection, within_ms: int) -> list[dict[str, Any]]:
    """Return the workers that gave a sign within so many milliseconds."""
    rows = connection.execute(sa.select(workers).where(workers.c.seenAt > now_ms() - within_ms))
    return [row._asdict() for row in rows]


def owners(connection: sa.Connection) -> list[str]:
    """Return the names of all workers that hold leases or gave a sign once."""
    held_by = sa.select(_E.leaseOwner).where(_E.leaseOwner.is_not(None))
    return list(connection.execute(sa.union(held_by, sa.select(workers.c.name))).scalars())


def bury(connection: sa.Connection, worker: str) -> None:
    """Let others take over at once what a worker held whose process is known to be gone."""
    connection.execute(
        executions.update()
        .where(_E.leaseOwner == worker, _E.status == ExecutionStatus.RUNNING.value)
        .values(claimAt=now_ms())
    )
    connection.execute(workers.delete().where(workers.c.name == worker))


def keep(
    connection: sa.Connection, heartbeat: Heartbeat, ids: Collection[str], lease_ms: int
) -> list[Held]:
    """Give a sign of life and renew the leases on these executions."""
    beat(connection, heartbeat)
    return renew(connection, heartbeat.name, ids, lease_ms)  # without those written to just now


def renew(
    connection: sa.Connection,
    worker: str,
    ids: Collection[str],
    lease_ms: int,
    *,
    patient: bool = False,
) -> list[Held]:
    """Extend a worker's leases on these executions to `lease_ms` from now; return those it has.

    An execution that is being written to at this moment is left out, unless `patient`: waiting for
    one row while holding others is how deadlocks come about. Ask for those again, singly.
    """
    if not ids:
        return []
    mine = sa.select(_E.id).where(
        _E.id.in_(ids), _E.leaseOwner == worker, _E.status == ExecutionStatus.RUNNING.value
    )
    free = mine.with_for_update(skip_locked=not patient).cte("free")
    rows = connection.execute(
        executions.update()
        .where(_E.id.in_(sa.select(free.c.id)))
        .values(claimAt=now_ms() + lease_ms)
        .returning(*_HELD)
    )
    return [_held(row) for row in rows]


def held(connection: sa.Connection, worker: str) -> list[Held]:
    """Return the leases of a worker without extending them."""
    rows = connection.execute(
        sa.select(*_HELD).where(_E.leaseOwner == worker, _E.status == ExecutionStatus.RUNNING.value)
    )
    return [_held(row) for row in rows]


def _held(row: Any) -> Held:
    asked = row.cancelRequestedAt is not None, row.pauseRequestedAt is not None
    return Held(Lease(row.id, row.epoch), *asked, cancelled_by=row.cancelledBy)


def _carried(lease: Lease) -> tuple[sa.ColumnElement[bool], ...]:
    running = _E.status == ExecutionStatus.RUNNING.value
    return _E.id == lease.execution_id, _E.epoch == lease.epoch, running


def postpone(connection: sa.Connection, lease: Lease, delay_ms: int) -> None:
    """Let go of an execution that could not be carried on here, to be taken up after a while.

    The owner stays named, so that the next claim counts an interruption.
    """
    connection.execute(
        executions.update().where(*_carried(lease)).values(claimAt=now_ms() + delay_ms)
    )


def release(connection: sa.Connection, leases: Collection[Lease]) -> None:
    """Hand leases back at once, so that the next worker need not wait for them to expire."""
    for lease in leases:
        connection.execute(
            executions.update().where(*_carried(lease)).values(claimAt=now_ms(), leaseOwner=None)
        )


def next_due(connection: sa.Connection) -> int | None:
    """Return the milliseconds until an execution can be claimed, or `None` when none waits."""
    first = sa.select(sa.func.min(_E.claimAt) - now_ms()).where(_E.claimAt.is_not(None))
    found = connection.execute(first).scalar_one_or_none()
    return None if found is None else max(0, int(found))
