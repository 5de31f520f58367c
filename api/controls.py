"""Routes that hold executions and let them go on."""

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.documented import answer, body
from api.json_body import read_optional_object
from api.refusals import checked_id
from api.requests import HoldExecution, RetryExecution, validated
from api.retrying import retry as go_on
from api.shared import shared_of
from core.errors import CauceError
from core.status import ExecutionStatus
from store import pauses
from store.wakeup import News

Verb = Callable[[Any, str, str], ExecutionStatus]
_EXAMPLE = {"requestedBy": "Ada"}
_PAUSED = {
    ExecutionStatus.PAUSED: "Execution paused",
    ExecutionStatus.RUNNING: "Pause requested: running nodes finish first",
}
_RESUMED = {
    ExecutionStatus.PENDING: "Execution resumed",
    ExecutionStatus.RUNNING: "Pause withdrawn: the execution goes on",
}
router = APIRouter(prefix="/api/executions", tags=["executions"])


def _answered(status: ExecutionStatus, message: str) -> dict[int | str, dict[str, Any]]:
    shown = {"success": True, "executionId": "4f0c2d9b8a7e6135", "status": status.value}
    return answer({**shown, "message": message})


@router.post(
    "/{execution_id}/pause",
    summary="Pause an execution",
    openapi_extra=body(HoldExecution, _EXAMPLE, required=False),
    responses=_answered(ExecutionStatus.PAUSED, _PAUSED[ExecutionStatus.PAUSED]),
)
async def pause(request: Request, execution_id: str) -> Response:
    """At once what nobody runs; a worker starts no further node, and lets those that run finish.

    Asked for twice, it is the same pause. The time limit of the execution counts on. Needs no body.
    """
    return await _hold(request, execution_id, pauses.request_pause, _PAUSED)


@router.post(
    "/{execution_id}/resume",
    summary="Let a paused execution go on",
    openapi_extra=body(HoldExecution, _EXAMPLE, required=False),
    responses=_answered(ExecutionStatus.PENDING, _RESUMED[ExecutionStatus.PENDING]),
)
async def resume(request: Request, execution_id: str) -> Response:
    """Also takes a pause back that was not carried out yet. 409 `not_waiting` if not paused."""
    return await _hold(request, execution_id, pauses.resume, _RESUMED)


@router.post(
    "/{execution_id}/retry",
    summary="Go on from an execution that has ended",
    openapi_extra=body(
        RetryExecution, {"from": "greeting", "inputs": {"name": "Grace"}}, required=False
    ),
    responses=answer(
        {
            "success": True,
            "executionId": "9c1f5e7a30b2d846",
            "retryOf": "4f0c2d9b8a7e6135",
            "status": "pending",
            "message": "Execution goes on from an earlier one in background",
            "reused": ["start", "name"],
        }
    ),
)
async def retry(request: Request, execution_id: str) -> Response:
    """Makes a new execution that keeps the results of finished nodes and runs the rest.

    `from` and everything downstream of it runs again, and so does what the other `inputs` change.
    `version`: `original` runs the document that ran then, `latest` the present one, with what
    changed in it. Takes an `Idempotency-Key`. Needs no body.
    """
    shared = shared_of(request)
    checked_id(execution_id, "Execution")
    given = await read_optional_object(request, shared.settings.max_body_bytes)
    wanted = validated(RetryExecution, given)
    retried = await go_on(shared, execution_id, wanted, request.headers.get("idempotency-key"))
    value = {
        "success": True,
        "executionId": retried.execution_id,
        "retryOf": execution_id,
        "status": "pending",
        "message": "Execution goes on from an earlier one in background",
        "reused": retried.reused,
    }
    return json_answer(value, headers={"Idempotent-Replayed": "true"} if retried.replayed else None)


async def _hold(
    request: Request, execution_id: str, verb: Verb, messages: dict[ExecutionStatus, str]
) -> Response:
    shared = shared_of(request)
    given = await read_optional_object(request, shared.settings.max_body_bytes)
    by = validated(HoldExecution, given).requested_by or "user"
    write = partial(_held, execution_id=checked_id(execution_id, "Execution"), verb=verb, by=by)
    status = await shared.database.write(write)
    if isinstance(status, CauceError):
        raise status
    shared.bell.ring(News.PAUSE)
    value = {"success": True, "executionId": execution_id, "status": status.value}
    return json_answer({**value, "message": messages[status]})


def _held(connection: Any, execution_id: str, verb: Verb, by: str) -> ExecutionStatus | CauceError:
    """Refusals are returned: raised, they would undo others' work that shares the commit."""
    try:
        return verb(connection, execution_id, by)
    except CauceError as error:
        return error
