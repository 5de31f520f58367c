"""Statements that run for every execution or every write, built once.

Building one costs several times what SQLite takes to run it.
"""

import sqlalchemy as sa

from core.status import ExecutionStatus
from database import workflow_executions as executions
from store.clock import now_ms

_E = executions.c
COUNTERS = ("settledNodes", "completedNodes", "failedNodes", "skippedNodes")
FACTS = ("currentNodeId", "prefectFlowRunId", "observability")
"""Columns that a worker writes along; null leaves them as they are."""
ENDING = ("status", "reason", "error", "finalOutput", "nodeResults", "completedAt")
_GIVEN = (
    *("id", "workflowId", "workflowName", "organizationId", "versionNumber", "status"),
    *("triggerType", "triggeredByName", "inputs", "createdAt", "updatedAt", "priority"),
    *("maxParallel", "orchestrator", "totalNodes", "queue", "concurrencyLimit", "retentionDays"),
    *("retryOf", "retryRequest"),
)

INSERT_EXECUTION = executions.insert().values(
    {
        **{name: sa.bindparam(name) for name in _GIVEN},
        **dict.fromkeys(COUNTERS, 0),
        "seq": 1,
        "epoch": 0,
        "flush": 0,
        "interruptions": 0,
        "claimAt": now_ms(),
        "deadlineAt": now_ms() + sa.bindparam("timeout", type_=sa.BigInteger),
    }
)
"""Takes `_GIVEN` and `timeout` in milliseconds, null for none."""

_FENCED = (
    executions.update()
    .where(
        _E.id == sa.bindparam("w_id"),
        _E.epoch == sa.bindparam("w_epoch"),
        _E.flush == sa.bindparam("w_flush") - 1,
        _E.status == ExecutionStatus.RUNNING.value,
    )
    .returning(_E.seq)
)
_WRITTEN = {
    "seq": _E.seq + sa.bindparam("w_events", type_=sa.BigInteger),
    "flush": sa.bindparam("w_flush"),
    "updatedAt": sa.bindparam("w_at"),
    **{name: executions.c[name] + sa.bindparam(f"w_{name}") for name in COUNTERS},
    # An execution that gets on between two deaths of its workers is not what kills them.
    "interruptions": sa.case(
        (sa.bindparam("w_settledNodes", type_=sa.BigInteger) > 0, 0), else_=_E.interruptions
    ),
    **{
        name: sa.func.coalesce(sa.bindparam(f"w_{name}", type_=sa.Text), executions.c[name])
        for name in FACTS
    },
}
WRITE = _FENCED.values(_WRITTEN)
"""A worker's write, fenced by its epoch. All parameters begin with `w_`."""

END = _FENCED.values(
    {
        **_WRITTEN,
        **{name: sa.bindparam(f"w_{name}") for name in ENDING},
        "claimAt": None,
        "leaseOwner": None,
    }
)
"""A worker's last write."""

PAUSED: dict[str, object] = {
    "status": ExecutionStatus.PAUSED.value,
    "claimAt": _E.deadlineAt,
    "leaseOwner": None,
    "pauseRequestedAt": None,
}
"""What a pause writes: nobody takes the execution before its time limit is reached."""

PAUSE = _FENCED.where(_E.pauseRequestedAt.is_not(None), _E.cancelRequestedAt.is_(None)).values(
    {**_WRITTEN, **PAUSED, "reason": sa.bindparam("w_reason")}
)
"""A worker's last write of a segment, if the pause is still wanted and no cancel came."""
