"""The tables, and where the database is.

Six tables and their camelCase columns belong to existing applications, which may own them already:
they are used as they are and only ever added to. Ours alone bear the prefix `cauce_`. Times are
ISO 8601 text in UTC with milliseconds (`…Z`), except `claimAt` and `deadlineAt`: whole
milliseconds since 1970. JSON is stored as text.
"""

from typing import Any

import sqlalchemy as sa

from config import Settings
from core.errors import ConfigError
from core.status import ExecutionStatus, NodeStatus

metadata = sa.MetaData()


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, **options)


def _number(name: str, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, **options)


def _one_of(column: str, words: type[ExecutionStatus] | type[NodeStatus], name: str) -> Any:
    allowed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f'"{column}" IN ({allowed})', name=name)


def _columns(names: str) -> list[sa.Column[str]]:
    return [_text(name) for name in names.split()]


def _numbers(names: str) -> list[sa.Column[int]]:
    return [_number(name) for name in names.split()]


def _partial(name: str, *columns: str, where: str) -> sa.Index:
    present = sa.text(f'"{where}" IS NOT NULL')
    return sa.Index(name, *columns, sqlite_where=present, postgresql_where=present)


workflows = sa.Table(
    "workflows",
    metadata,
    _text("id", primary_key=True),
    _text("organizationId"),
    _text("name", nullable=False),
    _text("data", nullable=False),
    *_columns("tags createdAt updatedAt createdBy createdByName lastEditedBy lastEditedByName"),
    _text("publishedVersionId"),
    _number("activeVersionNumber"),
    _number("isPublic"),
)

workflow_versions = sa.Table(
    "workflow_versions",
    metadata,
    _text("id", primary_key=True),
    *_columns("workflowId organizationId"),
    _number("version"),
    *_columns("name data description createdBy createdByName createdAt"),
    _number("isProduction"),
    sa.Index("cauce_versions_by_workflow", "workflowId", "version"),
)

workflow_executions = sa.Table(
    "workflow_executions",
    metadata,
    _text("id", primary_key=True),
    _text("workflowId", nullable=False),
    _text("organizationId"),
    _text("status", server_default=ExecutionStatus.PENDING),
    _text("triggerType", server_default="manual"),
    *_columns("inputs currentNodeId nodeResults finalOutput error createdAt startedAt completedAt"),
    _text("triggeredByName"),
    _number("versionNumber"),
    # Ours. Rows of other applications have no epoch: no worker of ours touches them.
    *_columns("workflowName reason leaseOwner cancelRequestedAt cancelledBy updatedAt"),
    *_columns("orchestrator observability prefectFlowRunId pauseRequestedAt"),
    *_columns("retryOf retriedBy retryRequest queue"),
    *_numbers("seq epoch flush interruptions claimAt deadlineAt priority maxParallel"),
    *_numbers("concurrencyLimit retentionDays"),
    *_numbers("totalNodes settledNodes completedNodes failedNodes skippedNodes"),
    _partial("cauce_executions_claimable", "claimAt", where="claimAt"),
    _partial("cauce_executions_by_queue", "queue", "claimAt", where="claimAt"),
    _partial("cauce_executions_alive", "status", "workflowId", where="claimAt"),
    _partial("cauce_executions_by_retention", "retentionDays", "completedAt", where="epoch"),
    sa.Index("cauce_executions_by_workflow", "workflowId", "createdAt", "id"),
    sa.Index("cauce_executions_by_time", "createdAt", "id"),
    _partial("cauce_executions_by_owner", "leaseOwner", where="leaseOwner"),
    _one_of("status", ExecutionStatus, "cauce_execution_status"),
)

execution_logs = sa.Table(
    "execution_logs",
    metadata,
    _text("id", primary_key=True),
    sa.Column(
        "executionId",
        sa.Text,
        sa.ForeignKey("workflow_executions.id", ondelete="CASCADE"),
        nullable=False,
    ),
    *_columns("nodeId nodeType nodeLabel status inputData outputData error"),
    _number("duration"),
    _text("timestamp"),
    _number("seq"),
    sa.Index("cauce_logs_by_execution", "executionId", "seq"),
)

workflow_schedules = sa.Table(
    "workflow_schedules",
    metadata,
    _text("id", primary_key=True),
    _text("workflowId", nullable=False, unique=True),
    _text("organizationId", nullable=False),
    _number("intervalMs", nullable=False),
    _text("lastRunAt"),
    _number("enabled", server_default="1"),
    *_columns("createdAt updatedAt"),
)

pending_approvals = sa.Table(
    "pending_approvals",
    metadata,
    _text("id", primary_key=True),
    *_columns("organizationId workflowId nodeId nodeLabel assignedUserId assignedUserName"),
    _text("status", server_default="pending"),
    *_columns("inputDataPreview createdAt updatedAt"),
)

node_runs = sa.Table(
    "cauce_node_runs",
    metadata,
    _text("executionId", primary_key=True),
    _text("nodeId", primary_key=True),
    _number("iteration", primary_key=True, autoincrement=False),
    _text("status", nullable=False),
    _number("attempt", nullable=False, server_default="0"),
    *_columns("startedAt completedAt"),
    _number("duration"),
    *_columns("ports output portOutputs error"),
    _one_of("status", NodeStatus, "cauce_node_run_status"),
    sqlite_with_rowid=False,
)

events = sa.Table(
    "cauce_events",
    metadata,
    _text("executionId", primary_key=True),
    _number("seq", primary_key=True, autoincrement=False),
    _text("type", nullable=False),
    _text("nodeId"),
    _text("at", nullable=False),
    _number("epoch", nullable=False),
    _text("data", nullable=False),
    sqlite_with_rowid=False,
)

workers = sa.Table(
    "cauce_workers",
    metadata,
    _text("name", primary_key=True),
    *_columns("startedAt observability"),
    *_numbers("seenAt capacity running"),
)

payloads = sa.Table(
    "cauce_payloads",
    metadata,
    _text("hash", primary_key=True),
    _number("size", nullable=False),
    _text("value", nullable=False),
    _text("createdAt", nullable=False),
    sqlite_with_rowid=False,
)

payload_uses = sa.Table(
    "cauce_payload_uses",
    metadata,
    _text("executionId", primary_key=True),
    _text("hash", primary_key=True),
    sa.Index("cauce_payload_uses_by_hash", "hash"),
    sqlite_with_rowid=False,
)

duties = sa.Table(
    "cauce_duties",
    metadata,
    _text("name", primary_key=True),
    _text("owner", nullable=False),
    _number("until", nullable=False),
)


def database_url(settings: Settings) -> sa.URL:
    """Return where the data is: `DATABASE_URL`, else the SQLite file `DATABASE_PATH`.

    Names no driver: `store.engine` chooses it. Raises `ConfigError` for another kind of database.
    """
    if settings.database_url is None:
        path = settings.database_path or settings.data_dir / "cauce.db"
        return sa.URL.create("sqlite", database=str(path))
    url = sa.make_url(settings.database_url.get_secret_value())
    kind = {"postgres": "postgresql"}.get(url.get_backend_name(), url.get_backend_name())
    if kind not in {"sqlite", "postgresql"}:
        raise ConfigError(
            f'DATABASE_URL: "{kind}" is not a database that this service knows. '
            "Example: DATABASE_URL=postgresql://user:password@localhost:5432/cauce"
        )
    return url.set(drivername=kind)
