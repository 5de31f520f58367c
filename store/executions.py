"""Reading executions: one, many, their logs, their node runs."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.errors import NotFound
from core.status import NodeStatus
from database import execution_logs, node_runs
from database import workflow_executions as executions
from store.payloads import decode, load_column

_E = executions.c
Row = dict[str, Any]

SUMMARY = tuple(
    column for column in executions.columns if column.name not in {"inputs", "nodeResults"}
)
"""All columns but those that may be large and that a poll does not show."""

_ONE = sa.select(*SUMMARY).where(_E.id == sa.bindparam("id"))
_LOGS = sa.select(execution_logs).where(execution_logs.c.executionId == sa.bindparam("id"))
_NEWEST = (execution_logs.c.seq.desc(), execution_logs.c.timestamp.desc())
_OLDEST = (execution_logs.c.seq, execution_logs.c.timestamp)
_LAST_LOGS = _LOGS.order_by(*_NEWEST).limit(sa.bindparam("limit"))
_ALL_LOGS = _LOGS.order_by(*_OLDEST)


def find(connection: sa.Connection, execution_id: str) -> Row:
    """Return an execution's row (`SUMMARY`). Raises `NotFound`."""
    row = connection.execute(_ONE, {"id": execution_id}).one_or_none()
    if row is None:
        raise NotFound(f"Execution {execution_id[:64]} not found")
    return row._asdict()


def last_logs(connection: sa.Connection, execution_id: str, limit: int) -> list[Row]:
    """Return the newest log rows, oldest first."""
    rows = connection.execute(_LAST_LOGS, {"id": execution_id, "limit": limit})
    return [row._asdict() for row in reversed(rows.all())]


def all_logs(connection: sa.Connection, execution_id: str) -> list[Row]:
    """Return every log row, oldest first."""
    return [row._asdict() for row in connection.execute(_ALL_LOGS, {"id": execution_id})]


def final_output(row: Row) -> Any:
    """Return the result of an execution's row: null while there is none."""
    return None if row["finalOutput"] is None else decode(row["finalOutput"])


def loads_inputs(row: Row) -> dict[str, Any]:
    """Return the inputs of an execution's whole row, by node id; other applications may store
    something else there, which is no input for a node.
    """
    found = decode(row["inputs"] or "{}")
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of executions is narrowed to. `after` is the place of the last one seen."""

    workflow_id: str | None = None
    organization_id: str | None = None
    statuses: tuple[str, ...] = ()
    created_from: str | None = None
    created_to: str | None = None
    after: tuple[str, str] | None = None
    """`createdAt` and id of the last execution on the page before."""


def newest(connection: sa.Connection, wanted: Filter, limit: int) -> list[Row]:
    """Return executions, newest first."""
    chosen = sa.select(*SUMMARY).where(*_conditions(wanted))
    if wanted.after is not None:
        place = sa.tuple_(_E.createdAt, _E.id)
        chosen = chosen.where(place < sa.tuple_(*map(sa.literal, wanted.after)))
    chosen = chosen.order_by(_E.createdAt.desc(), _E.id.desc()).limit(limit)
    return [row._asdict() for row in connection.execute(chosen)]


def count(connection: sa.Connection, wanted: Filter) -> int:
    """Count the executions that a filter leaves, whatever page is shown."""
    chosen = sa.select(sa.func.count()).select_from(executions).where(*_conditions(wanted))
    return int(connection.execute(chosen).scalar_one())


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    conditions = []
    if wanted.workflow_id is not None:
        conditions.append(_E.workflowId == wanted.workflow_id)
    if wanted.organization_id is not None:
        conditions.append(_E.organizationId == wanted.organization_id)
    if wanted.statuses:
        conditions.append(_E.status.in_(wanted.statuses))
    if wanted.created_from is not None:
        conditions.append(_E.createdAt >= wanted.created_from)
    if wanted.created_to is not None:
        conditions.append(_E.createdAt < wanted.created_to)
    return conditions


@dataclass(frozen=True, slots=True)
class NodeRun:
    """A node run as stored, its values loaded."""

    node_id: str
    iteration: int
    status: NodeStatus
    attempt: int
    started_at: str | None
    ports: tuple[str, ...]
    output: Any
    port_outputs: dict[str, Any]
    error: dict[str, Any] | None


def stored_node_runs(connection: sa.Connection, execution_id: str) -> list[NodeRun]:
    """Return the node runs of an execution that have left `pending`: a worker goes on from them."""
    rows = connection.execute(
        sa.select(node_runs).where(
            node_runs.c.executionId == execution_id,
            node_runs.c.status != NodeStatus.PENDING.value,
        )
    )
    return [_node_run(connection, row._asdict()) for row in rows]


def _node_run(connection: sa.Connection, row: Row) -> NodeRun:
    return NodeRun(
        node_id=row["nodeId"],
        iteration=row["iteration"],
        status=NodeStatus(row["status"]),
        attempt=row["attempt"],
        started_at=row["startedAt"],
        ports=tuple(decode(row["ports"])) if row["ports"] else (),
        output=load_column(connection, row["output"]),
        port_outputs=load_column(connection, row["portOutputs"]) or {},
        error=decode(row["error"]) if row["error"] else None,
    )
