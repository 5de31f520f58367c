"""Workflows: stored as they came, versioned, looked at, deleted; also when others write them."""

import json
from typing import Any

import pytest

from tests.api.conftest import problem
from tests.servers.api_server import GREETING, ApiServer


def with_node(**changes: Any) -> dict[str, Any]:
    nodes = [dict(node) for node in GREETING["nodes"]]
    nodes[1] |= changes
    return {**GREETING, "nodes": nodes}


def test_a_document_is_stored_untouched(server: ApiServer) -> None:
    # C10: also what only a front end understands
    nodes = [
        {"x": 1.5, "status": "completed", "outputData": {"a": None}, **n} for n in GREETING["nodes"]
    ]
    document = {"viewport": {"zoom": 2}, "nodes": nodes, "connections": GREETING["connections"]}
    body = {"name": "Ünïcode ✓", "data": document, "organizationId": "o1"}
    answer = server.client.post("/api/workflows", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert {key: made[key] for key in ("name", "organizationId", "version")} == {
        "name": "Ünïcode ✓",
        "organizationId": "o1",
        "version": 1,
    }
    assert "warnings" not in made
    assert answer.headers["location"] == f"/api/workflows/{made['id']}"
    ((stored,),) = server.sql("SELECT data FROM workflows WHERE id = ?", made["id"])
    assert list(json.loads(stored)) == list(document)
    assert json.loads(stored) == document
    found = server.client.get(f"/api/workflows/{made['id']}").json()
    assert found["data"] == document


def test_a_changed_document_is_a_new_version(server: ApiServer) -> None:
    workflow_id = server.save()
    path = f"/api/workflows/{workflow_id}"
    same = server.client.put(path, json={"data": GREETING, "name": "Renamed"})
    assert (same.json()["version"], same.json()["name"]) == (1, "Renamed")
    other = server.client.put(path, json={"data": with_node(label="Other")})
    assert (other.json()["version"], other.json()["name"]) == (2, "Renamed")
    assert server.client.get(path).headers["etag"] == '"2"'


def test_an_update_can_ask_that_nobody_was_faster(server: ApiServer) -> None:
    # B150
    path = f"/api/workflows/{server.save()}"
    body = {"data": with_node(label="Other")}
    assert server.client.put(path, json=body, headers={"If-Match": '"1"'}).status_code == 200
    before = server.rows()
    answer = server.client.put(path, json={"data": GREETING}, headers={"If-Match": '"1"'})
    problem(answer, 412, "version_stale")
    assert server.rows() == before


def test_an_id_can_be_chosen_once(server: ApiServer) -> None:
    assert server.save(id="chosen-1") == "chosen-1"
    body = {"name": "Again", "data": GREETING, "id": "chosen-1"}
    before = server.rows()
    problem(server.client.post("/api/workflows", json=body), 409, "conflict")
    assert server.rows() == before


def test_a_deleted_workflow_is_gone_and_its_executions_stay(server: ApiServer) -> None:
    # B151
    workflow_id = server.save()
    execution_id = server.execute(workflow_id)
    path = f"/api/workflows/{workflow_id}"
    answer = server.client.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    for again in (server.client.delete(path), server.client.get(path)):
        problem(again, 404, "not_found")
    assert server.poll(execution_id)["status"] == "pending"


def test_workflows_are_listed_page_by_page(server: ApiServer) -> None:
    ids = [server.save(organizationId="lists") for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"organizationId": "lists", "limit": "2", "cursor": cursor}
        page = server.client.get("/api/workflows", params=query).json()
        seen += [one["id"] for one in page["workflows"]]
        assert all("data" not in one for one in page["workflows"])
        cursor = page["nextCursor"]
    assert len(seen) == 5
    assert sorted(seen) == sorted(ids)


WRONG: list[tuple[str, Any, str, str]] = [
    ("B041", {"connections": []}, "required", "/data/nodes"),
    ("B042", {"nodes": []}, "graph_empty", "/data/nodes"),
    ("B043", {"nodes": "x"}, "type_array_expected", "/data/nodes"),
    ("B044", {"nodes": [None]}, "type_object_expected", "/data/nodes/0"),
    ("B045", {"nodes": [{"type": "trigger"}]}, "required", "/data/nodes/0/id"),
    ("B046", with_node(id=7), "type_string_expected", "/data/nodes/1/id"),
    ("B047", with_node(id=" "), "id_empty", "/data/nodes/1/id"),
    ("B048", with_node(id="i" * 129), "id_too_long", "/data/nodes/1/id"),
    ("B049", with_node(id="../x"), "id_chars", "/data/nodes/1/id"),
    ("B050", with_node(id="start"), "node_id_duplicate", "/data/nodes/0/id"),
    ("B051", with_node(id="START"), "node_id_confusable", "/data/nodes/0/id"),
    ("B053", with_node(type=None), "type_string_expected", "/data/nodes/1/type"),
    ("B054", with_node(type="teleport"), "node_type_unknown", "/data/nodes/1/type"),
    ("B055", with_node(type="HTTP "), "node_type_unknown", "/data/nodes/1/type"),
    ("B056", with_node(extra=1), "field_unknown", "/data/nodes/1/extra"),
    ("B057", {**GREETING, "epoch": 1}, "field_unknown", "/data/epoch"),
    ("B058", with_node(config=[]), "type_object_expected", "/data/nodes/1/config"),
    ("B059", {**GREETING, "version": 999}, "version_unsupported", "/data/version"),
    ("B019", [], "type_object_expected", "/data"),
]


@pytest.mark.parametrize(("row", "document", "code", "pointer"), WRONG)
def test_a_wrong_document_is_not_stored(
    server: ApiServer, row: str, document: Any, code: str, pointer: str
) -> None:
    # B041 … B059
    before = server.rows()
    answer = server.client.post("/api/workflows", json={"name": "Wrong", "data": document})
    found = problem(answer, 422, "document_invalid")
    assert (code, pointer) in [(one["code"], one["pointer"]) for one in found["errors"]], row
    assert found["errors"][0]["message"] in found["detail"]
    looked_at = server.client.post("/api/workflows/validate", json={"data": document}).json()
    assert looked_at["valid"] is False
    shown = [one for one in looked_at["problems"] if one["severity"] == "error"]
    assert [{k: v for k, v in one.items() if k != "severity"} for one in shown] == found["errors"]
    assert server.rows() == before


FIELDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("B060", {"name": "n" * 201}, "too_long", "/name"),
    ("B060", {"name": ""}, "required", "/name"),
    ("B060", {"name": 7}, "type_string_expected", "/name"),
    ("B049", {"id": "../x"}, "id_chars", "/id"),
    ("B049", {"id": "a\nb"}, "id_chars", "/id"),
    ("S-44", {"status": "completed"}, "field_unknown", "/status"),
    ("S-44", {"createdAt": "2020"}, "field_unknown", "/createdAt"),
    ("S-44", {"tenant_id": "x"}, "field_unknown", "/tenant_id"),
    ("S-44", {"organization_id": "x"}, "field_unknown", "/organization_id"),
    ("S-44", {"k" * 5000: 1}, "field_unknown", ""),
]


@pytest.mark.parametrize(("row", "fields", "code", "pointer"), FIELDS)
def test_a_wrong_field_is_refused(
    server: ApiServer, row: str, fields: dict[str, Any], code: str, pointer: str
) -> None:
    # B049, B057, B060, S-44
    before = server.rows()
    body = {"name": "Wrong", "data": GREETING, **fields}
    answer = server.client.post("/api/workflows", json=body)
    found = problem(answer, 422, code)
    assert found["errors"][0]["pointer"] == pointer, row
    assert "k" * 65 not in answer.text
    assert server.rows() == before


def test_every_problem_is_told_at_once_up_to_a_hundred(server: ApiServer) -> None:
    nodes = [{"id": f"n{i}", "type": "teleport"} for i in range(150)]
    answer = server.client.post("/api/workflows", json={"name": "N", "data": {"nodes": nodes}})
    found = problem(answer, 422, "document_invalid")
    assert (len(found["errors"]), found["truncated"]) == (100, True)


def test_warnings_come_with_the_answer(server: ApiServer) -> None:
    # B081 or a lone comment: stored all the same
    document = {"nodes": [{"id": "c", "type": "comment"}], "connections": []}
    answer = server.client.post("/api/workflows", json={"name": "Notes", "data": document})
    assert answer.status_code == 201
    assert [one["code"] for one in answer.json()["warnings"]] == ["graph_nothing_to_run"]
    assert answer.json()["warnings"][0]["pointer"] == "/data/nodes"


def test_the_bare_document_can_be_looked_at(server: ApiServer) -> None:
    # S-06
    before = server.rows()
    validate = "/api/workflows/validate"
    assert server.client.post(validate, json=GREETING).json() == {
        "valid": True,
        "problems": [],
        "truncated": False,
    }
    (only,) = server.client.post(validate, json={"nodes": []}).json()["problems"]
    assert (only["code"], only["pointer"]) == ("graph_empty", "/nodes")
    problem(server.client.post(validate, json={"data": GREETING, "x": 1}), 422, "field_unknown")
    assert server.rows() == before


@pytest.mark.parametrize("path", ["%00", "..%2f..%2fetc", "a" * 300, "%E2%80%AE", "none", "a%0ab"])
@pytest.mark.parametrize("place", ["workflows", "executions"])
def test_an_id_that_cannot_be_one_is_unknown(server: ApiServer, place: str, path: str) -> None:
    # B040, B136, B137, S-20, S-51
    answer = server.client.get(f"/api/{place}/{path}")
    found = problem(answer, 404, "not_found")
    assert found["errors"] == []
    assert "a" * 65 not in answer.text
    problem(server.client.post(f"/api/executions/{path}/cancel"), 404, "not_found")
