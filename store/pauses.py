"""Pausing by hand, and going on."""

from typing import Any

import sqlalchemy as sa

from core.errors import NotWaiting
from core.events import ExecutionPaused, ExecutionPauseRequested, ExecutionResumed
from core.status import ExecutionStatus, Reason
from database import workflow_executions as executions
from store.clock import now_ms, timestamp
from store.statements import PAUSED
from store.transitions import change, locked

_E = executions.c
_MANUAL = Reason.MANUAL.value


def request_pause(connection: sa.Connection, execution_id: str, by: str) -> ExecutionStatus:
    """Pause an execution that nobody runs; ask the worker of one that somebody does.

    Returns the status that it has now. A pause asked for again changes nothing. Raises `NotFound`
    and `AlreadyFinished`.
    """
    row = locked(connection, execution_id, "pause")
    if row.status == ExecutionStatus.PAUSED:
        return ExecutionStatus.PAUSED
    if not row.held:  # under a new epoch: a worker that wakes up late is fenced out
        values: dict[str, Any] = {**PAUSED, "reason": _MANUAL, "epoch": _E.epoch + 1}
        change(connection, execution_id, ExecutionPaused(_MANUAL), values)
        return ExecutionStatus.PAUSED
    if row.pauseRequestedAt is None:
        asked = {"pauseRequestedAt": timestamp()}
        change(connection, execution_id, ExecutionPauseRequested(by), asked)
    return ExecutionStatus.RUNNING


def resume(connection: sa.Connection, execution_id: str, by: str) -> ExecutionStatus:
    """Let an execution that was paused by hand go on, or take back a pause not carried out yet.

    Returns the status that it has now. Raises `NotFound`, `AlreadyFinished` and `NotWaiting`.
    """
    row = locked(connection, execution_id, "resume")
    values: dict[str, Any] = {"pauseRequestedAt": None}
    if (row.status, row.reason) == (ExecutionStatus.PAUSED, _MANUAL):
        values |= {"status": ExecutionStatus.PENDING.value, "reason": None, "claimAt": now_ms()}
    elif row.pauseRequestedAt is None:
        raise NotWaiting(extra={"status": row.status})
    change(connection, execution_id, ExecutionResumed(by), values)
    return ExecutionStatus(values.get("status", row.status))
