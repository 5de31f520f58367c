"""Starting an execution once, however often its client asks."""

from dataclasses import dataclass

import sqlalchemy as sa

from database import workflow_executions as executions

_E = executions.c
_START = sa.select(
    *(_E.workflowId, _E.workflowName, _E.organizationId, _E.triggerType, _E.inputs, _E.createdAt),
    _E.retryRequest,
).where(_E.id == sa.bindparam("id"))


@dataclass(frozen=True, slots=True)
class Begun:
    """What an execution was started with. `inputs` and `retry_request` are JSON texts."""

    workflow_id: str
    workflow_name: str | None
    organization_id: str | None
    trigger_type: str
    inputs: str | None
    created_at: str
    retry_request: str | None = None


def begun(connection: sa.Connection, execution_id: str) -> Begun | None:
    """Return what an execution was started with, or `None` when nobody started it.

    Nobody else can start it then until the caller's transaction has ended.
    """
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        lock = sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(execution_id, 0))
        connection.execute(sa.select(lock))
    row = connection.execute(_START, {"id": execution_id}).one_or_none()
    return None if row is None else Begun(*row)
