"""Routes of workflows: stored, looked at, executed."""

from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer, stored_json
from api.documented import QUICKSTART, answer, body, parameters
from api.executions import summary
from api.json_body import read_object
from api.pages import Query, next_cursor
from api.problems import shown
from api.refusals import PreconditionFailed, checked_id, moved
from api.requests import (
    CreateWorkflow,
    ExecuteWorkflow,
    UpdateWorkflow,
    ValidateWorkflow,
    validated,
)
from api.shared import Shared, shared_of
from api.starting import Start, start
from core.errors import CauceError, NotFound, Problem
from store import executions, workflows
from store.executions import Filter
from store.workflows import NewWorkflow, Row

MOST_EXECUTIONS = 500
"""Existing clients ask for whole histories of a workflow."""
_SUMMARY_KEYS = ("executionId", "workflowId", "status", "createdAt", "startedAt", "completedAt")
router = APIRouter(prefix="/api/workflows", tags=["workflows"])


def _head(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "organizationId": row["organizationId"],
        "version": row["activeVersionNumber"],
        "createdAt": row["createdAt"],
        "updatedAt": row["updatedAt"],
    }


def _with_warnings(value: dict[str, Any], warnings: Any) -> dict[str, Any]:
    return {**value, "warnings": [shown(problem) for problem in warnings]} if warnings else value


@router.post(
    "/execute",
    summary="Start an execution in the background",
    openapi_extra=body(
        ExecuteWorkflow,
        {"workflowId": "quickstart", "inputs": {"name": "Grace"}, "organizationId": None},
    ),
    responses=answer(
        {
            "success": True,
            "executionId": "4f0c2d9b8a7e6135",
            "status": "pending",
            "message": "Workflow execution started in background",
            "workflowId": "quickstart",
            "workflowName": "Quickstart",
        }
    ),
)
async def execute(request: Request) -> Response:
    """Answers at once; from then on the execution runs to its end, whatever dies in between."""
    shared = shared_of(request)
    given = validated(ExecuteWorkflow, await read_object(request, shared.settings.max_body_bytes))
    inputs = given.inputs or {}
    started = await start(
        shared,
        Start(
            workflow_id=given.workflow_id,
            inputs=inputs,
            organization_id=given.organization_id,
            trigger_type=given.trigger_type or _trigger_type(inputs),
            idempotency_key=request.headers.get("idempotency-key"),
            priority=given.priority,
        ),
    )
    value = {
        "success": True,
        "executionId": started.execution_id,
        "status": "pending",
        "message": "Workflow execution started in background",
        "workflowId": started.workflow_id,
        "workflowName": started.workflow_name,
    }
    headers = {"Idempotent-Replayed": "true"} if started.replayed else None
    return json_answer(_with_warnings(value, started.warnings), headers=headers)


def _trigger_type(inputs: dict[str, Any]) -> str:
    """Existing clients name the kind of trigger among the inputs."""
    named = inputs.get("_triggerType")
    return named if isinstance(named, str) and 0 < len(named) <= 64 else "manual"


@router.post(
    "/validate",
    summary="Say everything that is wrong with a document",
    openapi_extra=body(ValidateWorkflow, {"data": QUICKSTART}),
    responses=answer({"valid": True, "problems": []}),
)
async def validate(request: Request) -> Response:
    """Stores and runs nothing. Takes what would be stored, or the bare document."""
    shared = shared_of(request)
    given = await read_object(request, shared.settings.max_body_bytes)
    document, place = given, ""
    if "data" in given and "nodes" not in given:
        document, place = validated(ValidateWorkflow, given).data, "/data"
    compiled = await shared.plans.compile(document, len(orjson.dumps(document)))
    problems = [
        {**shown(problem), "severity": problem.severity}
        for problem in moved(compiled.problems, place)
    ]
    valid = compiled.plan is not None
    return json_answer({"valid": valid, "problems": problems, "truncated": compiled.truncated})


@router.post(
    "",
    status_code=201,
    summary="Store a workflow",
    openapi_extra=body(
        CreateWorkflow, {"id": "quickstart", "name": "Quickstart", "data": QUICKSTART}
    ),
)
async def create(request: Request) -> Response:
    """The document is stored as it came, every field of it, if it is valid."""
    shared = shared_of(request)
    given = validated(CreateWorkflow, await read_object(request, shared.settings.max_body_bytes))
    text, warnings = await _checked(shared, given.data)
    new = NewWorkflow(given.name, text, given.organization_id, given.id)
    row = await shared.database.write(partial(workflows.create, new=new))
    headers = {"Location": f"/api/workflows/{row['id']}", "ETag": _etag(row)}
    return json_answer(_with_warnings(_head(row), warnings), 201, headers)


async def _checked(shared: Shared, document: Any) -> tuple[str, list[Problem]]:
    text = orjson.dumps(document).decode()
    warnings = await shared.plans.check(document, len(text), "/data")
    return text, moved(warnings, "/data")


@router.get(
    "",
    summary="Workflows, newest first, without their documents",
    openapi_extra=parameters(
        organizationId="Only those of this organization",
        limit="How many, 1 to 100 (50)",
        cursor="The `nextCursor` of the page before",
    ),
)
async def many(request: Request) -> Response:
    """`nextCursor` is null on the last page."""
    query = Query(request, "organizationId", "limit", "cursor")
    page = query.page()
    read = partial(
        workflows.newest,
        limit=page.limit + 1,
        organization_id=query.text("organizationId"),
        after=page.after,
    )
    rows = await shared_of(request).database.read(read)
    heads = [_head(row) for row in rows[: page.limit]]
    return json_answer({"workflows": heads, "nextCursor": next_cursor(rows, page.limit)})


@router.get("/{workflow_id}", summary="A workflow with its document")
async def one(request: Request, workflow_id: str) -> Response:
    """`data` is the document as it was stored."""
    read = partial(workflows.find, workflow_id=checked_id(workflow_id, "Workflow"))
    row = await shared_of(request).database.read(read)
    data = stored_json(row["data"], ours=False)
    return json_answer({**_head(row), "data": data}, headers={"ETag": _etag(row)})


def _etag(row: Row) -> str:
    return f'"{row["activeVersionNumber"] or 0}"'


@router.put(
    "/{workflow_id}",
    summary="Give a workflow a new document",
    openapi_extra=body(UpdateWorkflow, {"name": "Quickstart", "data": QUICKSTART}),
)
async def update(request: Request, workflow_id: str) -> Response:
    """A new version, unless nothing changed. With `If-Match` only if nobody changed it meanwhile.

    Executions that run go on with the version that they started with.
    """
    shared = shared_of(request)
    checked_id(workflow_id, "Workflow")
    given = validated(UpdateWorkflow, await read_object(request, shared.settings.max_body_bytes))
    text, warnings = await _checked(shared, given.data)
    expected = request.headers.get("if-match")
    write = partial(_update, workflow_id=workflow_id, name=given.name, data=text, expected=expected)
    row = await shared.database.write(write)
    if isinstance(row, CauceError):
        raise row
    return json_answer(_with_warnings(_head(row), warnings), headers={"ETag": _etag(row)})


def _update(
    connection: Any, workflow_id: str, name: str | None, data: str, expected: str | None
) -> Row | CauceError:
    try:
        row = workflows.find(connection, workflow_id)
    except NotFound as error:
        return error
    if expected not in (None, "*", _etag(row)):
        return PreconditionFailed()
    return workflows.update(connection, workflow_id, name, data)


@router.delete("/{workflow_id}", status_code=204, summary="Delete a workflow")
async def delete(request: Request, workflow_id: str) -> Response:
    """Its executions stay, and those that run go on."""
    write = partial(_delete, workflow_id=checked_id(workflow_id, "Workflow"))
    refusal = await shared_of(request).database.write(write)
    if refusal is not None:
        raise refusal
    return Response(None, 204)


def _delete(connection: Any, workflow_id: str) -> NotFound | None:
    try:
        workflows.delete(connection, workflow_id)
    except NotFound as error:
        return error
    return None


@router.get(
    "/{workflow_id}/executions",
    summary="The executions of a workflow, newest first",
    openapi_extra=parameters(limit="How many, 1 to 500 (50)"),
)
async def its_executions(request: Request, workflow_id: str) -> Response:
    """`total` counts all of them."""
    limit = Query(request, "limit").page(MOST_EXECUTIONS).limit
    read = partial(_history, workflow_id=checked_id(workflow_id, "Workflow"), limit=limit)
    return json_answer(await shared_of(request).database.read(read))


def _history(connection: Any, workflow_id: str, limit: int) -> dict[str, Any]:
    name = workflows.find(connection, workflow_id)["name"]
    wanted = Filter(workflow_id)
    rows = [summary(row) for row in executions.newest(connection, wanted, limit)]
    total = executions.count(connection, wanted)
    shown_rows = [
        {
            "id": row["executionId"],
            **{key: row[key] for key in _SUMMARY_KEYS},
            "error": row["error"],
        }
        for row in rows
    ]
    return {
        "workflowId": workflow_id,
        "workflowName": name,
        "executions": shown_rows,
        "total": total,
    }
