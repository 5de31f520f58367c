"""Routes of executions: one, its logs, many, and the end of one."""

from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer, stored_json
from api.documented import answer, body, parameters
from api.json_body import read_optional_object
from api.pages import Query, next_cursor
from api.refusals import checked_id
from api.requests import CancelExecution, validated
from api.shared import shared_of
from core.errors import AlreadyFinished, NotFound
from core.status import ExecutionStatus, settled_percentage
from store import executions, transitions
from store.executions import Filter, Row
from store.wakeup import News

SHOWN_LOGS = 10
"""Log rows that a poll shows: the newest."""
_ENDED_WELL = ExecutionStatus.COMPLETED.value
_LOG_COLUMNS = (
    "id",
    "nodeId",
    "nodeType",
    "nodeLabel",
    "status",
    "inputData",
    "outputData",
    "error",
    "duration",
    "timestamp",
)
router = APIRouter(prefix="/api/executions", tags=["executions"])


def progress(row: Row) -> dict[str, int]:
    """Return how far an execution is; rows of other applications tell no counts."""
    total = row["totalNodes"]
    if total is None:
        percentage = 100 if row["status"] == _ENDED_WELL else 0
    else:
        percentage = settled_percentage(row["settledNodes"] or 0, total)
    return {
        "totalNodes": total or 0,
        "completedNodes": row["completedNodes"] or 0,
        "failedNodes": row["failedNodes"] or 0,
        "skippedNodes": row["skippedNodes"] or 0,
        "percentage": percentage,
    }


def shown_log(row: Row) -> dict[str, Any]:
    """Return a log row as clients see it: data as JSON strings, `duration` in milliseconds."""
    return {name: row[name] for name in _LOG_COLUMNS}


def summary(row: Row) -> dict[str, Any]:
    """Return what every view of an execution shows."""
    return {
        "executionId": row["id"],
        "workflowId": row["workflowId"],
        "workflowName": row["workflowName"],
        "organizationId": row["organizationId"],
        "status": row["status"] or ExecutionStatus.PENDING.value,
        "reason": row["reason"],
        "progress": progress(row),
        "currentNodeId": row["currentNodeId"],
        "error": row["error"],
        "createdAt": row["createdAt"],
        "startedAt": row["startedAt"],
        "completedAt": row["completedAt"],
        "cancelRequestedAt": row["cancelRequestedAt"],
        "pauseRequestedAt": row["pauseRequestedAt"],
        "retryOf": row["retryOf"],
        "retriedBy": row["retriedBy"],
        "triggerType": row["triggerType"],
        "version": row["versionNumber"],
        "observability": row["observability"],
        "prefectFlowRunId": row["prefectFlowRunId"],
    }


def _picture(connection: Any, execution_id: str) -> dict[str, Any]:
    row = executions.find(connection, execution_id)
    logs = executions.last_logs(connection, execution_id, SHOWN_LOGS)
    return {
        **summary(row),
        "finalOutput": stored_json(row["finalOutput"], ours=row["epoch"] is not None),
        "logs": [shown_log(log) for log in logs],
    }


def _all_logs(connection: Any, execution_id: str) -> list[dict[str, Any]]:
    executions.find(connection, execution_id)
    return [shown_log(row) for row in executions.all_logs(connection, execution_id)]


@router.get(
    "/{execution_id}",
    summary="The state of an execution, with its newest logs",
    responses=answer({"executionId": "4f0c2d9b8a7e6135", "status": "running"}),
)
async def one(request: Request, execution_id: str) -> Response:
    """Poll this. `finalOutput` is the result, null until there is one."""
    read = partial(_picture, execution_id=checked_id(execution_id, "Execution"))
    return json_answer(await shared_of(request).database.read(read))


@router.get("/{execution_id}/logs", summary="All log rows of an execution, oldest first")
async def logs(request: Request, execution_id: str) -> Response:
    """One row `running` and one `completed`, `error` or `skipped` for each node."""
    read = partial(_all_logs, execution_id=checked_id(execution_id, "Execution"))
    rows = await shared_of(request).database.read(read)
    return json_answer({"executionId": execution_id, "logs": rows})


@router.get(
    "",
    summary="Executions, newest first",
    openapi_extra=parameters(
        workflowId="Only those of this workflow",
        status="Only those in one of these states, separated by commas",
        organizationId="Only those of this organization",
        limit="How many, 1 to 100 (50)",
        cursor="The `nextCursor` of the page before",
        createdFrom="Only those created then or later, ISO 8601",
        createdTo="Only those created before then, ISO 8601",
    ),
)
async def many(request: Request) -> Response:
    """`nextCursor` is null on the last page."""
    names = ("workflowId", "status", "organizationId", "limit", "cursor", "createdFrom")
    query = Query(request, *names, "createdTo")
    page, period = query.page(), query.period()
    wanted = Filter(
        query.text("workflowId"),
        query.text("organizationId"),
        query.statuses(),
        *period,
        page.after,
    )
    read = partial(executions.newest, wanted=wanted, limit=page.limit + 1)
    rows = await shared_of(request).database.read(read)
    shown = [summary(row) for row in rows[: page.limit]]
    return json_answer({"executions": shown, "nextCursor": next_cursor(rows, page.limit)})


@router.post(
    "/{execution_id}/cancel",
    summary="Cancel an execution",
    openapi_extra=body(CancelExecution, {"cancelledBy": "Ada"}, required=False),
    responses=answer(
        {
            "success": True,
            "executionId": "4f0c2d9b8a7e6135",
            "message": "Execution cancelled",
            "previousStatus": "pending",
        }
    ),
)
async def cancel(request: Request, execution_id: str) -> Response:
    """Ends at once what nobody runs, within moments what a worker runs. Needs no body."""
    shared = shared_of(request)
    given = await read_optional_object(request, shared.settings.max_body_bytes)
    by = validated(CancelExecution, given).cancelled_by or "user"
    write = partial(_cancel, execution_id=checked_id(execution_id, "Execution"), by=by)
    outcome = await shared.database.write(write)
    if isinstance(outcome, NotFound):
        raise outcome
    shared.bell.ring(News.CANCEL)
    return json_answer({"executionId": execution_id, **outcome})


def _cancel(connection: Any, execution_id: str, by: str) -> dict[str, Any] | NotFound:
    """Cancel; refusals are returned, since raised they would undo what shares the commit."""
    try:
        before = transitions.request_cancel(connection, execution_id, by)
    except NotFound as error:
        return error
    except AlreadyFinished as error:
        status = error.extra["status"]
        return {"success": False, "message": error.detail, "previousStatus": status}
    ended = executions.find(connection, execution_id)["status"] == ExecutionStatus.CANCELLED
    message = "Execution cancelled" if ended else "Cancellation requested"
    return {"success": True, "message": message, "previousStatus": before}
