"""What OpenAPI is told of bodies and parameters that the routes read themselves."""

from typing import Any

from api.requests import Body

QUICKSTART: dict[str, Any] = {
    "nodes": [
        {"id": "start", "type": "trigger", "label": "Start", "x": 0, "y": 0, "config": {}},
        {
            "id": "name",
            "type": "manualInput",
            "label": "Name",
            "x": 200,
            "y": 0,
            "config": {"inputVarName": "name", "inputVarValue": "Ada"},
        },
        {
            "id": "greeting",
            "type": "addField",
            "label": "Greeting",
            "x": 400,
            "y": 0,
            "config": {"fieldName": "greeting", "fieldValue": "Hello, {{ name }}!"},
        },
        {"id": "end", "type": "output", "label": "Result", "x": 600, "y": 0, "config": {}},
    ],
    "connections": [
        {"id": "c1", "fromNodeId": "start", "toNodeId": "name"},
        {"id": "c2", "fromNodeId": "name", "toNodeId": "greeting"},
        {"id": "c3", "fromNodeId": "greeting", "toNodeId": "end"},
    ],
}
"""A document that works as it is."""


def body(model: type[Body], example: Any, *, required: bool = True) -> dict[str, Any]:
    """Return `openapi_extra` for a route with this body."""
    schema = model.model_json_schema(by_alias=True)
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": required, "content": content}}


def parameters(**described: str) -> dict[str, Any]:
    """Return `openapi_extra` for a route with these query parameters, all of them optional."""
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": text,
                "schema": {"type": "integer" if name == "limit" else "string"},
            }
            for name, text in described.items()
        ]
    }


def answer(example: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return `responses` for a route that answers so."""
    content = {"application/json": {"example": example}}
    return {status: {"description": "What was asked for", "content": content}}
