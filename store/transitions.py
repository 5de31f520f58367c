"""The only writer of a status: every change of state, with its events, in one transaction.

A write of a worker is fenced: it lands only while the worker's epoch is the execution's own and the
execution has not ended. Numbers of events are taken by the same statement, so they are dense.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.errors import AlreadyFinished, LeaseLost, NotFound, PauseWithdrawn
from core.events import (
    Event,
    ExecutionCancelled,
    ExecutionCancelRequested,
    ExecutionCreated,
    ExecutionStarted,
)
from core.status import TERMINAL_EXECUTION, ExecutionStatus, NodeStatus, Reason
from database import node_runs
from database import workflow_executions as executions
from store.candidates import due_executions, queue_of
from store.changes import Changes, Ending, Lease
from store.clock import now_ms, timestamp
from store.new_execution import NewExecution
from store.rows import append_event, cancel_open_nodes, write_changes
from store.statements import COUNTERS, END, ENDING, FACTS, INSERT_EXECUTION, PAUSE, WRITE

_E = executions.c
ENDED = tuple(status.value for status in TERMINAL_EXECUTION)


def create(connection: sa.Connection, new: NewExecution) -> str:
    """Store an execution, its pending node runs and its first event; return its `createdAt`."""
    at = timestamp()
    connection.execute(
        INSERT_EXECUTION,
        {
            "id": new.id,
            "workflowId": new.workflow_id,
            "workflowName": new.workflow_name,
            "organizationId": new.organization_id,
            "versionNumber": new.version,
            "status": ExecutionStatus.PENDING.value,
            "triggerType": new.trigger_type,
            "triggeredByName": new.triggered_by,
            "inputs": new.inputs,
            "createdAt": at,
            "updatedAt": at,
            "priority": new.priority,
            "timeout": new.timeout,
            "maxParallel": new.max_parallel,
            "orchestrator": new.orchestrator,
            "totalNodes": len(new.nodes),
            "queue": queue_of(
                new.priority, new.organization_id, new.workflow_id, new.concurrency_limit
            ),
            "concurrencyLimit": new.concurrency_limit,
            "retentionDays": new.retention_days,
            "retryOf": new.retry_of,
            "retryRequest": new.retry_request,
        },
    )
    if new.nodes:
        pending = NodeStatus.PENDING.value
        connection.execute(
            node_runs.insert(),
            [
                {"executionId": new.id, "nodeId": node, "iteration": 0, "status": pending}
                for node in new.nodes
            ],
        )
    created = ExecutionCreated(new.workflow_id, new.version, new.trigger_type, len(new.nodes))
    append_event(connection, new.id, 1, 0, created)
    return at


@dataclass(frozen=True, slots=True)
class Claimed:
    """An execution that this worker now holds. `deadline` is in milliseconds from now."""

    lease: Lease
    workflow_id: str
    version: int
    interruptions: int
    cancel_requested: bool
    pause_requested: bool
    flush: int
    seq: int
    row: dict[str, Any]


def claim(
    connection: sa.Connection,
    worker: str,
    limit: int,
    lease_ms: int,
    observability: str,
    take_over: Callable[[], bool] = lambda: True,
) -> list[Claimed]:
    """Take up to `limit` executions that wait or whose worker is gone: each begins a segment.

    `take_over` tells, at the moment of writing, whether an expired lease shows that its worker is
    gone: where nobody could write, nobody could renew.
    """
    abandoned = sa.true() if take_over() else _E.leaseOwner.is_(None)
    taken: list[sa.Row[Any]] = []
    due = due_executions(connection, limit)
    while due and len(taken) < limit:
        batch, due = due[: limit - len(taken)], due[limit - len(taken) :]
        taken += _take(connection, batch, worker, lease_ms, observability, abandoned)
    rows = sorted(
        (row._asdict() for row in taken),
        key=lambda row: (-(row["priority"] or 0), row["createdAt"]),
    )
    for row in rows:
        started = ExecutionStarted(row["epoch"], worker, row["orchestrator"] or "", observability)
        append_event(connection, row["id"], row["seq"], row["epoch"], started)
    return [_claimed(row) for row in rows]


_DUE = sa.select(_E.id).where(
    _E.id.in_(sa.bindparam("ids", expanding=True)), _E.claimAt <= now_ms()
)
_FREE = _DUE.with_for_update(skip_locked=True)


def _take(
    connection: sa.Connection,
    ids: list[str],
    worker: str,
    lease_ms: int,
    observability: str,
    abandoned: sa.ColumnElement[bool],
) -> list[sa.Row[Any]]:
    """Claim those of these executions that nobody else is claiming, and that are still due."""
    free = _FREE if connection.dialect.name == "postgresql" else _DUE
    mine = list(connection.execute(free.where(abandoned), {"ids": ids}).scalars())
    if not mine:
        return []
    at = timestamp()
    claim = (
        executions.update()
        .where(_E.id.in_(mine))
        .values(
            status=ExecutionStatus.RUNNING.value,
            reason=None,
            epoch=_E.epoch + 1,
            flush=0,
            seq=_E.seq + 1,
            interruptions=_E.interruptions + sa.case((_E.leaseOwner.is_not(None), 1), else_=0),
            leaseOwner=worker,
            claimAt=now_ms() + lease_ms,
            startedAt=sa.func.coalesce(_E.startedAt, at),
            observability=observability,
            updatedAt=at,
        )
        .returning(executions, (_E.deadlineAt - now_ms()).label("remaining"))
    )
    return list(connection.execute(claim))


def _claimed(row: dict[str, Any]) -> Claimed:
    return Claimed(
        lease=Lease(row["id"], row["epoch"]),
        workflow_id=row["workflowId"],
        version=row["versionNumber"],
        interruptions=row["interruptions"],
        cancel_requested=row["cancelRequestedAt"] is not None,
        pause_requested=row["pauseRequestedAt"] is not None,
        flush=row["flush"],
        seq=row["seq"],
        row=row,
    )


def apply(connection: sa.Connection, lease: Lease, flush: int, changes: Changes) -> int:
    """Write what a worker gathered; return the number of the last event.

    `flush` counts a lease's writes from 1. The same one applied again (its commit's answer was
    lost) changes nothing. Raises `LeaseLost` when another worker holds the execution, or it ended,
    and `PauseWithdrawn` when it is to end in a pause that nobody wants any more.
    """
    at = timestamp()
    values: dict[str, Any] = {
        "w_id": lease.execution_id,
        "w_epoch": lease.epoch,
        "w_flush": flush,
        "w_events": len(changes.events),
        "w_at": at,
        **{f"w_{name}": changes.counts.get(name, 0) for name in COUNTERS},
        **{f"w_{name}": changes.facts.get(name) for name in FACTS},
    }
    statement: sa.Executable = WRITE
    if changes.ending is not None:
        ending = _ending_values(changes.ending, at)
        values |= {f"w_{name}": ending[name] for name in ENDING}
        statement = PAUSE if changes.ending.status is ExecutionStatus.PAUSED else END
    last = connection.execute(statement, values).scalar_one_or_none()
    if last is None:
        return _applied_before(connection, lease, flush)
    write_changes(connection, lease, changes, last - len(changes.events) + 1)
    return int(last)


def _ending_values(ending: Ending, at: str) -> dict[str, Any]:
    return {
        "status": ending.status.value,
        "reason": ending.reason.value if ending.reason else None,
        "error": ending.error,
        "finalOutput": ending.result,
        "nodeResults": ending.node_results,
        "completedAt": at,
        "claimAt": None,
        "leaseOwner": None,
    }


def _applied_before(connection: sa.Connection, lease: Lease, flush: int) -> int:
    row = connection.execute(
        sa.select(_E.epoch, _E.flush, _E.seq, _E.status).where(_E.id == lease.execution_id)
    ).one_or_none()
    if row is None or row.epoch != lease.epoch:
        raise LeaseLost
    if row.flush == flush:
        return int(row.seq)
    mine = row.flush == flush - 1 and row.status == ExecutionStatus.RUNNING
    raise PauseWithdrawn if mine else LeaseLost


def request_cancel(connection: sa.Connection, execution_id: str, by: str) -> str:
    """Cancel an execution that nobody runs; ask the worker of one that somebody does.

    Returns the status it had. Raises `NotFound` and `AlreadyFinished`.
    """
    row = locked(connection, execution_id, "cancel")
    if not row.held:
        _cancel_now(connection, execution_id, by)
    elif row.cancelRequestedAt is None:
        asked: dict[str, Any] = {"cancelRequestedAt": timestamp(), "cancelledBy": by}
        change(connection, execution_id, ExecutionCancelRequested(by), asked)
    return str(row.status)


def locked(connection: sa.Connection, execution_id: str, verb: str) -> sa.Row[Any]:
    """Return where an execution is, to be changed by the caller; `held`: a worker has it.

    Raises `NotFound`, and `AlreadyFinished` which says that it cannot be done (`verb`).
    """
    held = sa.and_(_E.leaseOwner.is_not(None), sa.func.coalesce(_E.claimAt, 0) > now_ms())
    row = connection.execute(
        sa.select(
            _E.status, _E.reason, _E.cancelRequestedAt, _E.pauseRequestedAt, held.label("held")
        )
        .where(_E.id == execution_id, _E.epoch.is_not(None))
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(f"Execution {execution_id[:64]} not found")
    if row.status in ENDED:
        raise AlreadyFinished(
            f"Cannot {verb} execution with status '{row.status}'", extra={"status": row.status}
        )
    return row


def _cancel_now(connection: sa.Connection, execution_id: str, by: str) -> None:
    """End the execution here, under a new epoch: a worker that wakes up late is fenced out."""
    at = timestamp()
    values = _ending_values(Ending(ExecutionStatus.CANCELLED, Reason.CANCELLED), at)
    values |= {"cancelRequestedAt": at, "cancelledBy": by, "epoch": _E.epoch + 1}
    change(connection, execution_id, ExecutionCancelled(by), values)
    cancel_open_nodes(connection, execution_id)


def change(
    connection: sa.Connection, execution_id: str, event: Event, values: dict[str, Any]
) -> None:
    """Change an execution that no worker holds (or ask its worker for something): one event."""
    row = connection.execute(
        executions.update()
        .where(_E.id == execution_id)
        .values(seq=_E.seq + 1, updatedAt=timestamp(), **values)
        .returning(_E.seq, _E.epoch)
    ).one()
    append_event(connection, execution_id, row.seq, row.epoch, event)
