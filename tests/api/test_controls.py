"""Pausing and resuming over HTTP."""

import asyncio

import pytest

from store.engine import Database
from tests.api.conftest import problem
from tests.api.test_executions import claimed
from tests.servers.api_server import ApiServer


def hold(server: ApiServer, execution_id: str) -> None:
    """Take an execution as a worker does."""

    async def go() -> None:
        database = Database.open(server.settings)
        try:
            await claimed(database, execution_id)
        finally:
            await database.close()

    asyncio.run(go())


def test_a_pending_execution_is_paused_and_resumed(server: ApiServer) -> None:
    # R004-06, R004-35, B146
    execution_id = server.execute(server.save())
    path = f"/api/executions/{execution_id}"
    for _ in range(2):
        answer = server.client.post(f"{path}/pause", json={"requestedBy": "Ada"})
        assert answer.json() == {
            "success": True,
            "executionId": execution_id,
            "status": "paused",
            "message": "Execution paused",
        }
    seen = server.poll(execution_id)
    assert (seen["status"], seen["reason"]) == ("paused", "manual")
    assert server.client.post(f"{path}/resume").json()["status"] == "pending"
    problem(server.client.post(f"{path}/resume"), 409, "not_waiting")
    server.client.post(f"{path}/pause")
    assert server.client.post(f"{path}/cancel").json()["message"] == "Execution cancelled"
    for verb in ("pause", "resume"):
        found = problem(server.client.post(f"{path}/{verb}"), 409, "already_finished")
        assert found["detail"] == f"Cannot {verb} execution with status 'cancelled'"


def test_the_worker_of_a_running_execution_is_asked_to_pause(server: ApiServer) -> None:
    execution_id = server.execute(server.save())
    hold(server, execution_id)
    path = f"/api/executions/{execution_id}"
    assert server.client.post(f"{path}/pause").json()["status"] == "running"
    assert server.poll(execution_id)["pauseRequestedAt"]
    assert server.client.post(f"{path}/resume").json()["status"] == "running"
    assert server.poll(execution_id)["pauseRequestedAt"] is None


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_what_is_refused(server: ApiServer, verb: str) -> None:
    problem(server.client.post(f"/api/executions/none/{verb}"), 404, "not_found")
    execution_id = server.execute(server.save())
    path = f"/api/executions/{execution_id}/{verb}"
    problem(server.client.post(path, json={"status": "failed"}), 422, "field_unknown")
