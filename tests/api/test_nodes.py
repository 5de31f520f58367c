"""Node types as they are listed, and single nodes run by themselves."""

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.api.conftest import problem
from tests.servers.api_server import ApiServer

EXECUTE = "/api/nodes/execute"


def request(kind: str, config: Any, data: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "nodeId": "n",
        "nodeType": kind,
        "node": {"id": "n", "type": kind, "label": "N", "x": 0, "y": 0, "config": config},
        "inputData": data,
        **more,
    }


def test_all_node_types_are_listed(server: ApiServer) -> None:
    # R003-14 … R003-23
    types = {one["type"]: one for one in server.client.get("/api/node-types").json()}
    assert set(types) >= {
        *("trigger", "manualInput", "output", "http", "llm", "condition", "addField", "join"),
        *("webhook", "comment"),
    }
    assert types["condition"]["ports"] == ["true", "false"]
    assert types["join"]["inputPorts"] == ["A", "B"]
    assert types["trigger"]["trigger"] is True
    assert (types["addField"]["pure"], types["http"]["pure"]) == (True, False)
    assert types["comment"]["executable"] is False
    assert "httpUrl" in types["http"]["configSchema"]["properties"]
    for one in types.values():
        jsonschema.Draft202012Validator.check_schema(one["configSchema"])


def test_a_node_runs_by_itself(server: ApiServer) -> None:
    before = server.rows()
    config = {"fieldName": "greeting", "fieldValue": "Hello, {{ name }}!"}
    body = request("addField", config, {"name": "Ada"}, workflowId="w", organizationId=None)
    answer = server.client.post(EXECUTE, json=body)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["success"], found["nodeId"], found["nodeType"]) == (True, "n", "addField")
    assert found["output"] == {"name": "Ada", "greeting": "Hello, Ada!"}
    assert isinstance(found["message"], str)
    assert server.rows() == before


def test_a_failing_node_is_no_failing_request(server: ApiServer) -> None:
    config = {"httpUrl": "{{ url }}"}
    body = request("http", config, {"url": "http://127.0.0.1:1/x"})
    found = server.client.post(EXECUTE, json=body).json()
    assert found["success"] is False
    assert found["error"]
    assert found["output"] is None


WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("B054", request("teleport", {}), "node_type_unknown", "/nodeType"),
    ("B096", request("http", {"httpUrl": "//host"}), "", "/node/config/httpUrl"),
    ("B117", request("addField", {"fieldName": "a", "fieldValue": "{{ ''.__class__ }}"}), "", ""),
    ("B049", {**request("output", {}), "nodeId": "../x"}, "id_chars", "/nodeId"),
    ("B053", {"nodeId": "n", "nodeType": "output"}, "required", "/node"),
    ("S-44", request("output", {}, epoch=1), "field_unknown", "/epoch"),
    ("B058", request("output", []), "type_object_expected", "/node/config"),
]


@pytest.mark.parametrize(("row", "body", "code", "pointer"), WRONG)
def test_a_wrong_node_is_refused_as_when_saved(
    server: ApiServer, row: str, body: dict[str, Any], code: str, pointer: str
) -> None:
    # B049, B053, B054, B058, B096, B117, S-44
    answer = server.client.post(EXECUTE, json=body)
    found = problem(answer, 422, code or answer.json()["code"])
    assert found["errors"][0]["pointer"].startswith(pointer), row
