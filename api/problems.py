"""Error answers: `application/problem+json` (RFC 9457), one shape for every error."""

import logging
from http import HTTPStatus
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from api.refusals import MethodNotAllowed
from core.errors import BadRequest, CauceError, NotFound, Problem

MOST_PROBLEMS = 100
MEDIA_TYPE = "application/problem+json"
NEVER_READ_ON = frozenset({408, 413})
"""After these the rest of the body is not read: the connection closes."""
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
log = logging.getLogger("cauce.api")

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "example": "/problems/document_invalid"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for people."},
        "instance": {"type": "string", "example": "/requests/4f0c2d9b8a7e6135"},
        "code": {"type": "string", "description": "A stable word for programs."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "code": {"type": "string"},
                    "pointer": {"type": "string", "example": "/data/nodes/3/id"},
                    "message": {"type": "string"},
                    "nodeId": {"type": ["string", "null"]},
                },
            },
        },
        "truncated": {"type": "boolean", "description": "There are more errors than shown."},
    },
}
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    "default": {"description": "A problem (RFC 9457)", "content": {MEDIA_TYPE: {"schema": SCHEMA}}}
}


def shown(problem: Problem) -> dict[str, Any]:
    """Return a problem as clients see it."""
    return {
        "code": problem.code,
        "pointer": problem.pointer,
        "message": problem.message,
        "nodeId": problem.node_id,
    }


def problem_body(error: CauceError, request_id: str) -> dict[str, Any]:
    """Return the JSON object that tells of an error; `extra` adds members, and replaces none."""
    truncated = bool(error.extra.get("truncated")) or len(error.problems) > MOST_PROBLEMS
    return {
        **error.extra,
        "type": f"/problems/{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "instance": f"/requests/{request_id}",
        "code": error.code,
        "errors": [shown(problem) for problem in error.problems[:MOST_PROBLEMS]],
        "truncated": truncated,
    }


def problem_answer(error: CauceError, request_id: str) -> Response:
    """Return the answer that tells of an error."""
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status in NEVER_READ_ON:
        headers["Connection"] = "close"
    content = orjson.dumps(problem_body(error, request_id))
    return Response(content, error.status, headers, MEDIA_TYPE)


def unexpected(error: Exception, request_id: str) -> Response:
    """Log a fault of ours with its stack trace; return an answer that gives nothing away."""
    log.error("request %s failed", request_id, exc_info=error)
    fault = CauceError("Something went wrong on our side. The log has it under this request's id.")
    return problem_answer(fault, request_id)


async def on_error(request: Request, error: Exception) -> Response:
    """Answer an error that a route or the router raised."""
    request_id: str = request.scope["request_id"]
    if isinstance(error, CauceError):
        return problem_answer(error, request_id)
    if isinstance(error, HTTPException):
        return _router_answer(request, error, request_id)
    if isinstance(error, RequestValidationError):
        return problem_answer(BadRequest("A part of the address cannot be read."), request_id)
    return unexpected(error, request_id)


def _router_answer(request: Request, error: HTTPException, request_id: str) -> Response:
    if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
        return problem_answer(NotFound("There is nothing at this address."), request_id)
    answer = problem_answer(MethodNotAllowed(), request_id)
    answer.headers["Allow"] = ", ".join(_methods(request.app.routes, request.scope))
    return answer


def _methods(routes: list[BaseRoute], scope: Scope) -> list[str]:
    """Return the methods that an address knows: the router itself names those of one route."""
    return [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]
