"""Which executions a worker may take next: urgent ones first, then every organization in turn.

An execution stands in a queue (`queue_of`), and every queue is looked at by itself: one
with ten thousand in it delays nobody else. The cost grows with the number of queues that are not
empty, and not with what stands in them.
"""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from core.status import ExecutionStatus
from database import workflow_executions as executions
from store.clock import now_ms

_E = executions.c
SPARE = 3
"""How many more than wanted are looked at: other workers may be taking the same ones."""


MOST_URGENT = 100
"""The highest priority; the lowest is its negative."""


def queue_of(
    priority: int, organization_id: str | None, workflow_id: str, limit: int | None
) -> str:
    """Return the queue that an execution stands in: urgent ones sort first.

    One for each organization, and one for each workflow that limits how many run, so that those
    which may not run yet stand in nobody's way.
    """
    queue = f"{MOST_URGENT - priority:03}/{organization_id or ''}"
    return queue if limit is None else f"{queue}/{workflow_id}"


def _queues() -> sa.CTE:
    """Find the queues one after the other, each by one look into the index."""
    first = sa.select(sa.func.min(_E.queue).label("queue")).where(_E.claimAt.is_not(None))
    queues = first.cte("queues", recursive=True)
    other = executions.alias("other")
    following = (
        sa.select(sa.func.min(other.c.queue))
        .where(other.c.claimAt.is_not(None), other.c.queue > queues.c.queue)
        .scalar_subquery()
    )
    return queues.union_all(sa.select(following).where(queues.c.queue.is_not(None)))


def _ranked(kind: str) -> sa.Select[Any]:
    """Take the oldest of each queue, and rank those of each organization."""
    queues = _queues()
    one = executions.alias("one")
    oldest = (
        sa.select(one)
        .where(
            one.c.queue == queues.c.queue,
            one.c.claimAt.is_not(None),
            one.c.claimAt <= sa.bindparam("now"),
        )
        .order_by(one.c.claimAt)
        .limit(sa.bindparam("each"))
        .correlate(queues)
    )
    if kind == "postgresql":  # SQLite has no LATERAL, PostgreSQL would try every pair with IN
        found: Any = oldest.lateral("oldest")
        rows = queues.join(found, sa.true())
    else:
        found = executions
        rows = queues.join(executions, _E.id.in_(oldest.with_only_columns(one.c.id)))
    return _in_turn(found.c, rows)


def _in_turn(found: Any, rows: Any) -> sa.Select[Any]:
    turn = sa.func.row_number().over(
        partition_by=(found.priority, found.organizationId), order_by=found.claimAt
    )
    names = ("id", "workflowId", "status", "concurrencyLimit", "priority", "claimAt")
    ranked = sa.select(*(found[name] for name in names), turn.label("turn")).select_from(rows)
    chosen = ranked.subquery("ranked")
    return (
        sa.select(chosen)
        .order_by(chosen.c.priority.desc(), chosen.c.turn, chosen.c.claimAt)
        .limit(sa.bindparam("most"))
    )


_COUNT_QUEUES = sa.select(sa.func.count(), now_ms()).select_from(_queues())
_RANKED = {kind: _ranked(kind) for kind in ("sqlite", "postgresql")}
_LIVE = sa.text('"claimAt" IS NOT NULL')
_RUNNING = (
    sa.select(sa.func.count())
    .select_from(executions)
    .where(
        _LIVE,
        _E.status == ExecutionStatus.RUNNING.value,
        _E.workflowId == sa.bindparam("workflow"),
    )
)


def due_executions(connection: sa.Connection, wanted: int) -> list[str]:
    """Return ids of executions that may be taken now, best first; more than `wanted` if there are.

    Limits of workflows are kept: whoever takes these ids does so in the same transaction.
    """
    queues, now = connection.execute(_COUNT_QUEUES).one()
    if not queues:
        return []
    most = wanted * (1 + SPARE)
    each = max(1, -(-most // queues))
    ranked = _RANKED[connection.dialect.name]
    rows = connection.execute(ranked, {"now": now, "each": each, "most": most}).all()
    return list(_allowed(connection, rows))


def _allowed(connection: sa.Connection, rows: Iterable[sa.Row[Any]]) -> Iterable[str]:
    """Leave out what must wait until others of its workflow have ended."""
    running: dict[str, int] = {}
    for row in rows:
        if row.concurrencyLimit is None or row.status == ExecutionStatus.RUNNING:
            yield row.id
            continue
        workflow = row.workflowId
        if workflow not in running:
            running[workflow] = _running(connection, workflow, row.concurrencyLimit)
        if running[workflow] < row.concurrencyLimit:
            running[workflow] += 1
            yield row.id


def _running(connection: sa.Connection, workflow_id: str, limit: int) -> int:
    """Count what runs of a workflow; `limit` while another process changes that."""
    if not _own(connection, workflow_id):
        return limit
    return int(connection.execute(_RUNNING, {"workflow": workflow_id}).scalar_one())


def _lock_key(workflow_id: str) -> Any:
    return sa.func.hashtextextended(f"concurrency\n{workflow_id}", 0)


def _own(connection: sa.Connection, workflow_id: str) -> bool:
    if connection.dialect.name != "postgresql":  # SQLite has one writer at a time anyway
        return True
    lock = sa.func.pg_try_advisory_xact_lock(_lock_key(workflow_id))
    return bool(connection.execute(sa.select(lock)).scalar_one())


def own_workflow(connection: sa.Connection, workflow_id: str) -> None:
    """Let nobody else start or take executions of a workflow until the transaction has ended."""
    if connection.dialect.name == "postgresql":
        lock = sa.func.pg_advisory_xact_lock(_lock_key(workflow_id))
        connection.execute(sa.select(lock))


def waiting(connection: sa.Connection, most: int) -> int:
    """Count the executions that wait for a worker, up to `most`."""
    found = (
        sa.select(_E.status).where(_LIVE, _E.status == ExecutionStatus.PENDING.value).limit(most)
    )
    counted = sa.select(sa.func.count()).select_from(found.subquery())
    return int(connection.execute(counted).scalar_one())


def alive(connection: sa.Connection, workflow_id: str) -> list[str]:
    """Return the ids of a workflow's executions that wait or run, oldest first."""
    words = [ExecutionStatus.PENDING.value, ExecutionStatus.RUNNING.value]
    chosen = sa.select(_E.id).where(_LIVE, _E.status.in_(words), _E.workflowId == workflow_id)
    return list(connection.execute(chosen.order_by(_E.createdAt, _E.id)).scalars())
