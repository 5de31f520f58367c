"""The only writer of a status: every change of state, with its events, in one transaction.

A write of a worker is fenced: it lands only while the worker's epoch is the execution's own and the
execution has not ended. Numbers of events are taken by the same statement, so they are dense.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.errors import AlreadyFinished, LeaseLost, NotFound
from core.events import (
    Event,
    ExecutionCancelled,
    ExecutionCancelRequested,
    ExecutionCreated,
    ExecutionStarted,
)
from core.status import TERMINAL_EXECUTION, TERMINAL_NODE, ExecutionStatus, NodeStatus, Reason
from database import events, execution_logs, node_runs
from database import workflow_executions as executions
from store.changes import Changes, Ending, Lease
from store.clock import now_ms, timestamp
from store.payloads import insert_payloads
from store.rows import append_event, save_node_runs
from store.statements import COUNTERS, END, ENDING, FACTS, INSERT_EXECUTION, WRITE

_E = executions.c
_ENDED = [status.value for status in TERMINAL_EXECUTION]
_SETTLED = [status.value for status in TERMINAL_NODE]


@dataclass(frozen=True, slots=True)
class NewExecution:
    """An execution to be accepted. `inputs` is a JSON text, `timeout` in milliseconds."""

    id: str
    workflow_id: str
    workflow_name: str
    organization_id: str | None
    version: int
    nodes: tuple[str, ...]
    inputs: str = "{}"
    trigger_type: str = "manual"
    triggered_by: str | None = None
    timeout: int | None = None
    max_parallel: int | None = None
    orchestrator: str | None = None
    priority: int = 0


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
    flush: int
    seq: int
    row: dict[str, Any]


def claim(
    connection: sa.Connection, worker: str, limit: int, lease_ms: int, observability: str
) -> list[Claimed]:
    """Take up to `limit` executions that wait or whose worker is gone: each begins a segment."""
    due = (
        sa.select(_E.id)
        .where(_E.claimAt.is_not(None), _E.claimAt <= now_ms())
        .order_by(_E.priority.desc(), _E.claimAt)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")  # PostgreSQL could run a plain subquery more than once, and lock too many
    )
    at = timestamp()
    taken = connection.execute(
        executions.update()
        .where(_E.id.in_(sa.select(due.c.id)))
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
    rows = sorted(
        (row._asdict() for row in taken),
        key=lambda row: (-(row["priority"] or 0), row["createdAt"]),
    )
    for row in rows:
        started = ExecutionStarted(row["epoch"], worker, row["orchestrator"] or "", observability)
        append_event(connection, row["id"], row["seq"], row["epoch"], started)
    return [_claimed(row) for row in rows]


def _claimed(row: dict[str, Any]) -> Claimed:
    return Claimed(
        lease=Lease(row["id"], row["epoch"]),
        workflow_id=row["workflowId"],
        version=row["versionNumber"],
        interruptions=row["interruptions"],
        cancel_requested=row["cancelRequestedAt"] is not None,
        flush=row["flush"],
        seq=row["seq"],
        row=row,
    )


def apply(connection: sa.Connection, lease: Lease, flush: int, changes: Changes) -> int:
    """Write what a worker gathered; return the number of the last event.

    `flush` counts a lease's writes from 1. The same one applied again (its commit's answer was
    lost) changes nothing. Raises `LeaseLost` when another worker holds the execution, or it ended.
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
        statement = END
    last = connection.execute(statement, values).scalar_one_or_none()
    if last is None:
        return _applied_before(connection, lease, flush)
    _write_rows(connection, lease, changes, last - len(changes.events) + 1)
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
        sa.select(_E.epoch, _E.flush, _E.seq).where(_E.id == lease.execution_id)
    ).one_or_none()
    if row is None or (row.epoch, row.flush) != (lease.epoch, flush):
        raise LeaseLost
    return int(row.seq)


def _write_rows(connection: sa.Connection, lease: Lease, changes: Changes, first: int) -> None:
    insert_payloads(connection, changes.payloads)
    rows = list(changes.numbered(first, lease.execution_id, lease.epoch))
    if rows:
        connection.execute(events.insert(), rows)
    if changes.logs:
        logs = [
            {"executionId": lease.execution_id, "seq": first + index, **row}
            for index, row in changes.logs
        ]
        connection.execute(execution_logs.insert(), logs)
    if changes.runs:
        save_node_runs(connection, lease.execution_id, changes.runs.values())
    if changes.ending is not None:
        _cancel_open_nodes(connection, lease.execution_id)


def _cancel_open_nodes(connection: sa.Connection, execution_id: str) -> None:
    connection.execute(
        node_runs.update()
        .where(node_runs.c.executionId == execution_id, node_runs.c.status.not_in(_SETTLED))
        .values(status=NodeStatus.CANCELLED.value)
    )


def request_cancel(connection: sa.Connection, execution_id: str, by: str) -> str:
    """Cancel an execution that nobody runs; ask the worker of one that somebody does.

    Returns the status it had. Raises `NotFound` and `AlreadyFinished`.
    """
    row = connection.execute(
        sa.select(_E.status, _E.claimAt, _E.cancelRequestedAt, _E.leaseOwner, now_ms().label("now"))
        .where(_E.id == execution_id, _E.epoch.is_not(None))
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(f"Execution {execution_id[:64]} not found")
    if row.status in _ENDED:
        raise AlreadyFinished(
            f"Cannot cancel execution with status '{row.status}'", extra={"status": row.status}
        )
    held = row.leaseOwner is not None and row.claimAt is not None and row.claimAt > row.now
    if not held:
        _cancel_now(connection, execution_id, by)
    elif row.cancelRequestedAt is None:
        asked: dict[str, Any] = {"cancelRequestedAt": timestamp(), "cancelledBy": by}
        _one_event(connection, execution_id, ExecutionCancelRequested(by), asked)
    return str(row.status)


def _cancel_now(connection: sa.Connection, execution_id: str, by: str) -> None:
    """End the execution here, under a new epoch: a worker that wakes up late is fenced out."""
    at = timestamp()
    values = _ending_values(Ending(ExecutionStatus.CANCELLED, Reason.CANCELLED), at)
    values |= {"cancelRequestedAt": at, "cancelledBy": by, "epoch": _E.epoch + 1}
    _one_event(connection, execution_id, ExecutionCancelled(by), values)
    _cancel_open_nodes(connection, execution_id)


def _one_event(
    connection: sa.Connection, execution_id: str, event: Event, values: dict[str, Any]
) -> None:
    row = connection.execute(
        executions.update()
        .where(_E.id == execution_id)
        .values(seq=_E.seq + 1, updatedAt=timestamp(), **values)
        .returning(_E.seq, _E.epoch)
    ).one()
    append_event(connection, execution_id, row.seq, row.epoch, event)
