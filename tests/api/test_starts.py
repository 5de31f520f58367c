"""Starting executions: recorded before the answer, pinned to a version, once for each key."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from config import Settings
from tests.api.conftest import problem
from tests.servers.api_server import GREETING, ApiServer, api_server
from tests.store.test_schema import OLD_TABLES

EXECUTE = "/api/workflows/execute"


def test_a_start_is_answered_at_once_and_recorded(server: ApiServer) -> None:
    # R003-03, R003-04, R003-05, C3, C4
    workflow_id = server.save(organizationId="org")
    answer = server.client.post(
        EXECUTE, json={"workflowId": workflow_id, "inputs": {}, "organizationId": "org"}
    )
    assert answer.status_code == 200
    found = answer.json()
    execution_id = found.pop("executionId")
    assert int(execution_id, 16) >= 0
    assert len(execution_id) == 16
    assert found == {
        "success": True,
        "status": "pending",
        "message": "Workflow execution started in background",
        "workflowId": workflow_id,
        "workflowName": "Greeting",
    }
    row = server.sql(
        'SELECT status, "versionNumber", "organizationId", "triggerType", "totalNodes" '
        "FROM workflow_executions WHERE id = ?",
        execution_id,
    )
    assert row == [("pending", 1, "org", "manual", 3)]
    events = server.sql('SELECT seq, type FROM cauce_events WHERE "executionId" = ?', execution_id)
    assert events == [(1, "execution.created")]


@pytest.mark.parametrize("value", [0, False, "", [], None, {}, 0.0, {"__prefect_kind": "json"}])
def test_inputs_are_stored_as_given(server: ApiServer, value: Any) -> None:
    # R003-15, defect 10, S-09
    execution_id = server.execute(server.save(), inputs={"name": value})
    ((stored,),) = server.sql("SELECT inputs FROM workflow_executions WHERE id = ?", execution_id)
    assert json.loads(stored) == {"name": value}


def test_leftovers_among_the_inputs_are_kept_and_told(server: ApiServer) -> None:
    # R003-22: `_webhookData` and `_triggerType` are special
    inputs = {"_webhookData": {"a": 1}, "_triggerType": "webhook", "gone": 1}
    body = {"workflowId": server.save(), "inputs": inputs, "mode": "legacy"}
    found = server.client.post(EXECUTE, json=body).json()
    assert [(one["code"], one["pointer"]) for one in found["warnings"]] == [
        ("input_unknown", "/inputs/gone")
    ]
    row = server.sql(
        'SELECT inputs, "triggerType" FROM workflow_executions WHERE id = ?', found["executionId"]
    )
    assert (json.loads(row[0][0]), row[0][1]) == (inputs, "webhook")


def test_the_settings_of_a_document_go_along(server: ApiServer) -> None:
    # C7, C13
    settings = {"maxParallel": 2, "timeout": 60, "orchestrator": "direct"}
    execution_id = server.execute(server.save({**GREETING, "settings": settings}))
    ((most, orchestrator, left),) = server.sql(
        'SELECT "maxParallel", orchestrator, "deadlineAt" - "claimAt" '
        "FROM workflow_executions WHERE id = ?",
        execution_id,
    )
    assert (most, orchestrator) == (2, "direct")
    assert abs(left - 60_000) <= 5


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("B136", {"workflowId": "nowhere"}, 404, "not_found"),
    ("B137", {"workflowId": "a/b"}, 404, "not_found"),
    ("B053", {}, 422, "required"),
    ("B046", {"workflowId": 7}, 422, "type_string_expected"),
    ("B138", {"workflowId": "w", "inputs": []}, 422, "type_object_expected"),
    ("B138", {"workflowId": "w", "mode": "fast"}, 422, "value_unknown"),
    ("S-42", {"workflowId": "w", "data": GREETING}, 422, "field_unknown"),
    ("S-42", {"workflowId": "w", "nodes": []}, 422, "field_unknown"),
    ("S-42", {"workflowId": "w", "definition": {}}, 422, "field_unknown"),
    ("S-44", {"workflowId": "w", "status": "completed"}, 422, "field_unknown"),
    ("S-44", {"workflowId": "w", "epoch": 9}, 422, "field_unknown"),
]


@pytest.mark.parametrize(("row", "body", "status", "code"), REFUSED)
def test_a_wrong_start_starts_nothing(
    server: ApiServer, row: str, body: dict[str, Any], status: int, code: str
) -> None:
    # B136, B137, B138, S-42, S-44
    before = server.rows()
    problem(server.client.post(EXECUTE, json=body), status, code)
    assert server.rows() == before, row


def test_an_unknown_workflow_is_named(client: httpx.Client) -> None:
    # The dialect's words
    answer = client.post(EXECUTE, json={"workflowId": "nowhere"})
    assert answer.json()["detail"] == "Workflow nowhere not found"


def test_a_workflow_of_another_organization_is_unknown(server: ApiServer) -> None:
    # S-40
    body = {"workflowId": server.save(organizationId="theirs"), "organizationId": "ours"}
    before = server.rows()
    problem(server.client.post(EXECUTE, json=body), 404, "not_found")
    assert server.rows() == before


def test_what_another_application_writes_is_what_runs(server: ApiServer) -> None:
    # R003-32: the document is rewritten behind our back
    workflow_id = server.save()
    server.execute(workflow_id)
    fewer = {"nodes": GREETING["nodes"][:1], "connections": []}
    update = "UPDATE workflows SET data = ? WHERE id = ?"
    server.sql(update, json.dumps(fewer), workflow_id)
    execution_id = server.execute(workflow_id)
    found = server.poll(execution_id)
    assert (found["version"], found["progress"]["totalNodes"]) == (2, 1)

    for broken, code in (('{"nodes": [}', "json_malformed"), ('{"nodes": []}', "graph_empty")):
        server.sql(update, broken, workflow_id)
        before = server.rows()
        answer = server.client.post(EXECUTE, json={"workflowId": workflow_id})
        found = problem(answer, 422, "document_invalid")
        assert found["errors"][0]["code"] == code
        assert server.rows() == before


def test_a_key_starts_once(server: ApiServer) -> None:
    # B140, B141
    body = {"workflowId": server.save(), "inputs": {"name": 1}}
    headers = {"Idempotency-Key": "order-17"}
    first = server.client.post(EXECUTE, json=body, headers=headers)
    assert "idempotent-replayed" not in first.headers
    before = server.rows()
    again = server.client.post(EXECUTE, json=body, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    other = server.client.post(EXECUTE, json={**body, "inputs": {"name": 2}}, headers=headers)
    problem(other, 422, "idempotency_mismatch")
    assert server.rows() == before


def test_a_key_used_at_the_same_time_starts_once(server: ApiServer) -> None:
    # B142, P15
    body = {"workflowId": server.save()}
    headers = {"Idempotency-Key": "all-at-once"}

    def post(_number: int) -> httpx.Response:
        return server.client.post(EXECUTE, json=body, headers=headers)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(post, range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["executionId"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


@pytest.mark.parametrize("key", [b"", b"k" * 10_000, "ключ".encode(), b"a\tb"])
def test_a_key_must_be_one(server: ApiServer, key: bytes) -> None:
    # B143
    body = {"workflowId": server.save()}
    before = server.rows()
    answer = server.client.post(EXECUTE, json=body, headers={b"Idempotency-Key": key})
    problem(answer, 400, "idempotency_key_invalid")
    assert server.rows() == before


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[ApiServer]:
    """An API on the file of an application that has tables and rows of its own."""
    settings = Settings(data_dir=tmp_path, database_path=tmp_path / "main.sqlite", _env_file=None)
    seed = ApiServer(settings, httpx.Client(), 0)
    for statement in filter(str.strip, OLD_TABLES.split(";")):
        seed.sql(statement)
    seed.sql("INSERT INTO workflows (id, name, data) VALUES ('g', 'G', ?)", json.dumps(GREETING))
    seed.sql(
        'INSERT INTO workflow_executions (id, "workflowId", status, "finalOutput") '
        "VALUES ('text', 'g', 'completed', 'not JSON'), ('json', 'g', 'failed', '[0]')"
    )
    seed.client.close()
    with api_server(settings) as found:
        yield found


def test_tables_of_an_application_are_used_and_only_added_to(foreign: ApiServer) -> None:
    # R003-31, R003-32, C20
    old = foreign.sql('SELECT id, "workflowId", status FROM workflow_executions ORDER BY id')
    execution_id = foreign.execute("g")
    assert foreign.poll(execution_id)["status"] == "pending"
    rows = foreign.sql('SELECT id, "workflowId", status FROM workflow_executions ORDER BY id')
    assert sorted(rows) == sorted([*old, (execution_id, "g", "pending")])
    listed = foreign.client.get("/api/workflows/g/executions").json()
    assert listed["total"] == 3
    assert foreign.client.get("/api/workflows").json()["nextCursor"] is None


def test_executions_of_another_application_can_be_read(foreign: ApiServer) -> None:
    # R003-32
    text, found = foreign.poll("text"), foreign.poll("json")
    assert (text["finalOutput"], text["progress"]["percentage"]) == ("not JSON", 100)
    assert (found["finalOutput"], found["progress"]["percentage"]) == ([0], 0)
    problem(foreign.client.post("/api/executions/text/cancel"), 404, "not_found")
