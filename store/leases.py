"""Leases: how a worker keeps, loses and hands back its right to write to an execution."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from core.errors import LeaseLost
from core.status import ExecutionStatus
from database import workflow_executions as executions
from store.changes import Lease
from store.clock import now_ms

_E = executions.c


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that is still this worker's, and whether someone asked to cancel."""

    lease: Lease
    cancel_requested: bool


def renew(connection: sa.Connection, worker: str, lease_ms: int) -> list[Held]:
    """Extend every lease of a worker to `lease_ms` from now and return them."""
    rows = connection.execute(
        executions.update()
        .where(_E.leaseOwner == worker, _E.status == ExecutionStatus.RUNNING.value)
        .values(claimAt=now_ms() + lease_ms)
        .returning(_E.id, _E.epoch, _E.cancelRequestedAt)
    )
    return [Held(Lease(row.id, row.epoch), row.cancelRequestedAt is not None) for row in rows]


def held(connection: sa.Connection, worker: str) -> list[Held]:
    """Return the leases of a worker without extending them."""
    rows = connection.execute(
        sa.select(_E.id, _E.epoch, _E.cancelRequestedAt).where(
            _E.leaseOwner == worker, _E.status == ExecutionStatus.RUNNING.value
        )
    )
    return [Held(Lease(row.id, row.epoch), row.cancelRequestedAt is not None) for row in rows]


def release(connection: sa.Connection, leases: Collection[Lease]) -> None:
    """Hand leases back at once, so that the next worker need not wait for them to expire."""
    for lease in leases:
        connection.execute(
            executions.update()
            .where(_E.id == lease.execution_id, _E.epoch == lease.epoch, _E.claimAt.is_not(None))
            .values(claimAt=now_ms(), leaseOwner=None)
        )


def link_flow_run(connection: sa.Connection, lease: Lease, flow_run_id: str) -> None:
    """Remember the Prefect flow run of the present segment. Raises `LeaseLost`."""
    changed = connection.execute(
        executions.update()
        .where(_E.id == lease.execution_id, _E.epoch == lease.epoch)
        .values(prefectFlowRunId=flow_run_id)
    )
    if changed.rowcount == 0:
        raise LeaseLost


def next_due(connection: sa.Connection) -> int | None:
    """Return the milliseconds until an execution can be claimed, or `None` when none waits."""
    first = sa.select(sa.func.min(_E.claimAt) - now_ms()).where(_E.claimAt.is_not(None))
    found = connection.execute(first).scalar_one_or_none()
    return None if found is None else max(0, int(found))
