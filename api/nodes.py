"""Routes of node types: which there are, and one node run by itself."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.documented import answer, body
from api.json_body import read_object
from api.refusals import invalid
from api.requests import ExecuteNode, validated
from api.shared import Shared, shared_of
from core.document import read_document
from core.errors import Failure
from core.findings import Findings, Place
from core.graph import Limits
from core.plan import PlanNode
from core.vertices import read_vertices
from tasks.attempt import run_attempt
from tasks.context import NodeContext
from tasks.outcomes import Completed, Failed, Outcome
from tasks.registry import NodeType

LONGEST_RUN = 60.0
"""Seconds after which a node that is run by itself is cut off."""
_IN_DOCUMENT = "/nodes/0"
router = APIRouter(tags=["nodes"])


def catalogue_bytes(node_types: Mapping[str, NodeType]) -> bytes:
    """Return what is known of all node types as JSON, in the order of their names."""
    return orjson.dumps([_described(node_types[name]) for name in sorted(node_types)])


def _described(node_type: NodeType) -> dict[str, Any]:
    spec = node_type.spec
    return {
        "type": spec.name,
        "title": spec.title,
        "description": node_type.description,
        "ports": spec.ports({}),
        "inputPorts": spec.input_ports,
        "trigger": spec.trigger,
        "terminal": spec.terminal,
        "executable": spec.executable,
        "pure": node_type.pure,
        "timeout": node_type.timeout,
        "configSchema": node_type.config_model.model_json_schema(by_alias=True),
    }


@router.get("/api/node-types", summary="All node types, with the schemas of their settings")
async def node_types(request: Request) -> Response:
    """`timeout` is in seconds; null means that the type sets no limit."""
    return Response(request.app.state.node_types, media_type="application/json")


@router.post(
    "/api/nodes/execute",
    summary="Run one node by itself",
    openapi_extra=body(
        ExecuteNode,
        {
            "nodeId": "greeting",
            "nodeType": "addField",
            "node": {"config": {"fieldName": "greeting", "fieldValue": "Hello, {{ name }}!"}},
            "inputData": {"name": "Ada"},
        },
    ),
    responses=answer(
        {
            "success": True,
            "nodeId": "greeting",
            "nodeType": "addField",
            "output": {"name": "Ada", "greeting": "Hello, Ada!"},
            "message": "",
        }
    ),
)
async def execute(request: Request) -> Response:
    """For trying a node out: nothing is stored, and it may take 60 seconds."""
    shared = shared_of(request)
    given = validated(ExecuteNode, await read_object(request, shared.settings.max_body_bytes))
    node = checked_node(shared, given)
    outcome = await _run(shared, given, node)
    return json_answer({"nodeId": node.id, "nodeType": node.type, **_shown(outcome)})


def checked_node(shared: Shared, given: ExecuteNode) -> PlanNode:
    """Return the node, checked as it would be when it is saved. Raises `Unprocessable`."""
    raw = {**given.node, "id": given.node_id, "type": given.node_type}
    findings = Findings(Limits().max_problems)
    document = {"nodes": [raw], "connections": []}
    draft = read_document(Place(findings), document, 1, 0, Limits().max_string)
    vertices = read_vertices(draft.nodes, shared.catalogue, lenient=False)
    if findings.failed:
        raise invalid([_replaced(problem) for problem in findings.errors])
    return vertices[given.node_id].node


def _replaced(problem: Any) -> Any:
    """Return a problem with its pointer into the request."""
    inside = problem.pointer.removeprefix(_IN_DOCUMENT)
    pointer = {"/type": "/nodeType", "/id": "/nodeId"}.get(inside, f"/node{inside}")
    return type(problem)(problem.code, problem.message, pointer, problem.node_id)


async def _run(shared: Shared, given: ExecuteNode, node: PlanNode) -> Outcome:
    context = NodeContext(
        settings=shared.settings,
        resources=shared.resources,
        execution_id=secrets.token_hex(8),
        workflow_id=given.workflow_id or "",
        organization_id=given.organization_id or "",
        node_id=node.id,
        node_type=node.type,
        label=node.label,
        node=node.raw,
    )
    try:
        async with asyncio.timeout(LONGEST_RUN):
            return await run_attempt(shared.node_types[node.type], node, given.input_data, context)
    except TimeoutError:
        message = f"The node took longer than {LONGEST_RUN:g} seconds."
        return Failed(Failure("timeout", message))


def _shown(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Completed() as done:
            return {
                "success": True,
                "output": done.output,
                "ports": done.ports,
                "message": done.message,
                "details": dict(done.details),
            }
        case Failed(failure):
            return {
                "success": False,
                "output": None,
                "message": failure.message,
                "error": failure.message,
                "errorCode": failure.code,
                "details": dict(failure.details),
            }
