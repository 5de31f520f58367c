"""Rows that transitions write beside the execution's own: events, logs and node runs."""

from collections.abc import Iterable
from typing import Any

import orjson
import sqlalchemy as sa

from core.events import Event
from core.status import TERMINAL_EXECUTION, TERMINAL_NODE, NodeStatus
from database import events, execution_logs, node_runs
from store.changes import Changes, Lease
from store.clock import timestamp
from store.payloads import insert_payloads

_INSERT_EVENT = events.insert()
_SETTLED = [status.value for status in TERMINAL_NODE]

_RUN_VALUES = (
    "status",
    "attempt",
    "startedAt",
    "completedAt",
    "duration",
    "ports",
    "output",
    "portOutputs",
    "error",
)
_SAVE_RUN = (
    node_runs.update()
    .where(
        node_runs.c.executionId == sa.bindparam("b_execution"),
        node_runs.c.nodeId == sa.bindparam("b_node"),
        node_runs.c.iteration == sa.bindparam("b_iteration"),
        *(node_runs.c.status != word for word in _SETTLED),
    )
    .values({name: sa.bindparam(f"v_{name}") for name in _RUN_VALUES})
)


def _bound(execution_id: str, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "b_execution": execution_id,
        "b_node": row["nodeId"],
        "b_iteration": row["iteration"],
        **{f"v_{name}": row[name] for name in _RUN_VALUES},
    }


def save_node_runs(
    connection: sa.Connection, execution_id: str, rows: Iterable[dict[str, Any]]
) -> None:
    """Write node runs (`NodeRecord.row`) by their keys; a settled one is never changed."""
    connection.execute(_SAVE_RUN, [_bound(execution_id, row) for row in rows])


def append_event(
    connection: sa.Connection, execution_id: str, seq: int, epoch: int, event: Event
) -> None:
    """Append one event under a number that the caller has taken."""
    connection.execute(
        _INSERT_EVENT,
        {
            "executionId": execution_id,
            "seq": seq,
            "type": event.type,
            "nodeId": event.node,
            "at": timestamp(),
            "epoch": epoch,
            "data": orjson.dumps(event.data()).decode(),
        },
    )


def write_changes(connection: sa.Connection, lease: Lease, changes: Changes, first: int) -> None:
    """Write everything that a worker gathered, its events numbered from `first`."""
    insert_payloads(connection, changes.payloads, lease.execution_id)
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
    if changes.ending is not None and changes.ending.status in TERMINAL_EXECUTION:
        cancel_open_nodes(connection, lease.execution_id)


def cancel_open_nodes(connection: sa.Connection, execution_id: str) -> None:
    """Cancel the node runs that are not settled when their execution ends."""
    connection.execute(
        node_runs.update()
        .where(node_runs.c.executionId == execution_id, node_runs.c.status.not_in(_SETTLED))
        .values(status=NodeStatus.CANCELLED.value)
    )
