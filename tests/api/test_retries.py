"""Retries over HTTP: what is kept, what is refused, and once for each key."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.errors import Failure
from core.events import ExecutionCompleted, ExecutionFailed
from core.status import ExecutionStatus, Reason
from core.walk import NodeResult
from store.changes import Ending
from store.journal import Journal
from store.payloads import Stored
from tests.api.conftest import problem
from tests.api.test_executions import NODES, worked
from tests.servers.api_server import GREETING, ApiServer


def failed(server: ApiServer, workflow_id: str = "", **fields: Any) -> str:
    """Return an execution whose second node failed."""
    execution_id = server.execute(workflow_id or server.save(), **fields)

    async def work(journal: Journal) -> None:
        journal.started(NODES[0], 1, None)
        journal.completed(NODES[0], NodeResult({"a": 1}, ("out",)), duration=1)
        journal.started(NODES[1], 1, {"a": 1})
        journal.failed(NODES[1], Failure("x", "It broke."), None, duration=1)
        ending = Ending(ExecutionStatus.FAILED, Reason.NODE_FAILED, "It broke.")
        await journal.end(ExecutionFailed("node_failed", {"code": "x", "message": "y"}), ending)

    worked(server, execution_id, work)
    return execution_id


def completed(server: ApiServer) -> str:
    execution_id = server.execute(server.save())

    async def work(journal: Journal) -> None:
        for node in NODES:
            journal.started(node, 1, None)
            journal.completed(node, NodeResult(1, ("out",)), duration=1)
        stored = Stored.of(1)
        ending = Ending(ExecutionStatus.COMPLETED, result=stored.column)
        await journal.end(ExecutionCompleted(None), ending, result=stored)

    worked(server, execution_id, work)
    return execution_id


def retry(server: ApiServer, execution_id: str, **body: Any) -> dict[str, Any]:
    answer = server.client.post(f"/api/executions/{execution_id}/retry", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_failed_execution_goes_on_in_a_new_one(server: ApiServer) -> None:
    # R004-06, R004-29, C16
    first = failed(server, inputs={"name": 7})
    answer = server.client.post(f"/api/executions/{first}/retry")
    found = answer.json()
    made = found.pop("executionId")
    assert found == {
        "success": True,
        "retryOf": first,
        "status": "pending",
        "message": "Execution goes on from an earlier one in background",
        "reused": ["start"],
    }
    seen = server.poll(made)
    assert (seen["status"], seen["retryOf"], seen["version"]) == ("pending", first, 1)
    assert seen["progress"] == {
        "totalNodes": 3,
        "completedNodes": 1,
        "failedNodes": 0,
        "skippedNodes": 0,
        "percentage": 33,
    }
    assert server.poll(first)["retriedBy"] == made
    rows = server.sql('SELECT inputs, "triggerType" FROM workflow_executions WHERE id = ?', made)
    assert rows == [('{"name":7}', "manual")]


@pytest.mark.parametrize(
    ("body", "reused"),
    [
        ({"from": "start"}, []),
        ({"from": "name"}, ["start"]),
        ({"from": "end"}, ["start", "name"]),
        ({"inputs": {"name": 0}}, ["start"]),
        ({"inputs": {"nobody": 0}}, []),
        ({"version": "latest"}, ["start", "name", "end"]),
    ],
)
def test_what_is_kept_of_a_completed_one(
    server: ApiServer, body: dict[str, Any], reused: list[str]
) -> None:
    assert retry(server, completed(server), **body)["reused"] == reused


def test_the_latest_version_runs_what_changed_again(server: ApiServer) -> None:
    workflow_id = server.save()
    first = failed(server, workflow_id)
    nodes = [dict(node) for node in GREETING["nodes"]]
    nodes[1] = {**nodes[1], "config": {"inputVarValue": "Grace"}}
    server.client.put(f"/api/workflows/{workflow_id}", json={"data": {**GREETING, "nodes": nodes}})
    latest, original = (
        server.poll(retry(server, first, version=version)["executionId"])
        for version in ("latest", "original")
    )
    assert (latest["version"], original["version"]) == (2, 1)
    server.client.delete(f"/api/workflows/{workflow_id}")
    path = f"/api/executions/{first}/retry"
    problem(server.client.post(path, json={"version": "latest"}), 404, "not_found")
    assert retry(server, first)["reused"] == ["start"]


def test_refusals(server: ApiServer) -> None:
    pending = server.execute(server.save())
    problem(server.client.post(f"/api/executions/{pending}/retry"), 409, "not_finished")
    problem(server.client.post("/api/executions/none/retry"), 404, "not_found")
    done = completed(server)
    path = f"/api/executions/{done}/retry"
    problem(server.client.post(path), 409, "nothing_to_retry")
    problem(server.client.post(path, json={"inputs": {}}), 409, "nothing_to_retry")
    found = problem(server.client.post(path, json={"from": "nobody"}), 422, "node_unknown")
    assert found["errors"][0]["pointer"] == "/from"
    problem(server.client.post(path, json={"version": "old"}), 422, "value_unknown")
    problem(server.client.post(path, json={"at": "x"}), 422, "field_unknown")


def test_a_document_that_is_valid_no_longer(server: ApiServer) -> None:
    workflow_id = server.save()
    first = failed(server, workflow_id)
    server.sql(
        'UPDATE workflow_versions SET data = ? WHERE "workflowId" = ?', '{"nodes": 1}', workflow_id
    )
    answer = server.client.post(f"/api/executions/{first}/retry")
    assert answer.status_code == 422


def test_once_for_each_key(server: ApiServer) -> None:
    # B140, B141, B142, P15
    first = failed(server)
    path, headers = f"/api/executions/{first}/retry", {"Idempotency-Key": f"k{first}"}

    def post(_number: int) -> str:
        answer = server.client.post(path, json={"from": "name"}, headers=headers)
        assert answer.json()["reused"] == ["start"]
        return str(answer.json()["executionId"])

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(post, range(30)))) == 1
    again = server.client.post(path, json={"from": "name"}, headers=headers)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = server.client.post(path, json={"from": "end"}, headers=headers)
    problem(other, 422, "idempotency_mismatch")
    count = server.sql('SELECT count(*) FROM workflow_executions WHERE "retryOf" = ?', first)
    assert count == [(1,)]
