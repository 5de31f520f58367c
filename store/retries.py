"""Executions that go on from another one: its finished nodes are kept, the rest runs again."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from core.errors import NotFound
from core.events import NodeReused
from core.status import NodeStatus
from database import events, node_runs, payload_uses
from database import workflow_executions as executions
from store.clock import timestamp
from store.new_execution import NewExecution
from store.payloads import decode, is_reference, shown_column
from store.transitions import create

_E = executions.c
_R = node_runs.c
_COPIED = tuple(column for column in node_runs.columns if column.name != "executionId")
_KEPT_STATES = (NodeStatus.COMPLETED.value, NodeStatus.FAILED.value)


@dataclass(frozen=True, slots=True)
class Original:
    """An execution to go on from: its whole row, and the ports of each node that has a result."""

    row: Mapping[str, Any]
    ports: Mapping[str, tuple[str, ...]]

    @property
    def time_limit(self) -> int | None:
        """The milliseconds that it was given, or `None`."""
        if self.row["deadlineAt"] is None:
            return None
        created = datetime.fromisoformat(self.row["createdAt"])
        return max(1, int(self.row["deadlineAt"]) - round(created.timestamp() * 1000))


def original(connection: sa.Connection, execution_id: str) -> Original:
    """Return an execution of ours as it is. Raises `NotFound`."""
    chosen = sa.select(executions).where(_E.id == execution_id, _E.epoch.is_not(None))
    row = connection.execute(chosen).one_or_none()
    if row is None:
        raise NotFound(f"Execution {execution_id[:64]} not found")
    finished = sa.select(_R.nodeId, _R.ports).where(
        _R.executionId == execution_id, _R.status.in_(_KEPT_STATES), _R.ports.is_not(None)
    )
    ports = {run.nodeId: tuple(decode(run.ports)) for run in connection.execute(finished)}
    return Original(row._asdict(), ports)


def go_on(connection: sa.Connection, new: NewExecution, kept: Collection[str]) -> str:
    """Store an execution that begins with results of the one that it repeats.

    `kept` are node ids in the order of their events. Returns `createdAt`.
    """
    created_at = create(connection, new)
    runs = _runs(connection, new.retry_of, kept)
    if runs:
        _save(connection, new, runs)
    told = executions.update().where(_E.id == new.retry_of)
    connection.execute(told.values(retriedBy=new.id, updatedAt=timestamp()))
    return created_at


def _runs(
    connection: sa.Connection, execution_id: str | None, kept: Collection[str]
) -> list[dict[str, Any]]:
    wanted = set(kept)
    chosen = sa.select(*_COPIED).where(_R.executionId == execution_id, _R.ports.is_not(None))
    found = {row.nodeId: row._asdict() for row in connection.execute(chosen)}
    return [found[node] for node in kept if node in wanted]


def _save(connection: sa.Connection, new: NewExecution, runs: list[dict[str, Any]]) -> None:
    names = [column.name for column in _COPIED if column.name not in {"nodeId", "iteration"}]
    update = (
        node_runs.update()
        .where(_R.executionId == new.id, _R.nodeId == sa.bindparam("b_node"))
        .values({name: sa.bindparam(f"v_{name}") for name in names})
    )
    bound = [{"b_node": run["nodeId"], **{f"v_{n}": run[n] for n in names}} for run in runs]
    connection.execute(update, bound)
    at = timestamp()
    told = [_event(new, run, seq, at) for seq, run in enumerate(runs, 2)]
    connection.execute(events.insert(), told)
    shared = sa.select(sa.literal(new.id), payload_uses.c.hash).where(
        payload_uses.c.executionId == new.retry_of
    )
    connection.execute(payload_uses.insert().from_select(["executionId", "hash"], shared))
    failed = sum(run["status"] == NodeStatus.FAILED.value for run in runs)
    counted = {
        "seq": 1 + len(runs),
        "settledNodes": len(runs),
        "completedNodes": len(runs) - failed,
        "failedNodes": failed,
    }
    connection.execute(executions.update().where(_E.id == new.id).values(counted))


def _event(new: NewExecution, run: dict[str, Any], seq: int, at: str) -> dict[str, Any]:
    event = NodeReused(
        run["nodeId"],
        execution_id=new.retry_of or "",
        status=run["status"],
        attempt=run["attempt"],
        ports=tuple(decode(run["ports"])),
        output=shown_column(run["output"]),
        error=decode(run["error"]) if run["error"] else None,
    )
    data = event.data()
    if is_reference(run["output"]):
        data["refs"] = ["output"]
    return {
        "executionId": new.id,
        "seq": seq,
        "epoch": 0,
        "type": event.type,
        "nodeId": event.node,
        "at": at,
        "data": orjson.dumps(data).decode(),
    }


def reused(connection: sa.Connection, execution_id: str) -> list[str]:
    """Return the nodes whose results an execution took over from another one."""
    chosen = sa.select(events.c.nodeId).where(
        events.c.executionId == execution_id, events.c.type == NodeReused.type
    )
    return list(connection.execute(chosen.order_by(events.c.seq)).scalars())
