"""One more execution, or one too many."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from config import Settings
from tests.api.conftest import problem
from tests.api.test_controls import hold
from tests.servers.api_server import GREETING, ApiServer, api_server

EXECUTE = "/api/workflows/execute"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[ApiServer]:
    """An API whose queue holds three."""
    with api_server(Settings(data_dir=tmp_path, max_queued=3, _env_file=None)) as found:
        yield found


def test_a_full_queue_refuses_and_writes_nothing(small: ApiServer) -> None:
    # B163, P17
    workflow_id = small.save()
    first = small.client.post(
        EXECUTE, json={"workflowId": workflow_id}, headers={"Idempotency-Key": "k"}
    ).json()["executionId"]
    for _ in range(2):
        small.execute(workflow_id)
    before = small.rows()
    answer = small.client.post(EXECUTE, json={"workflowId": workflow_id})
    problem(answer, 503, "queue_full")
    assert answer.headers["Retry-After"] == "1"
    assert small.rows() == before
    again = small.client.post(
        EXECUTE, json={"workflowId": workflow_id}, headers={"Idempotency-Key": "k"}
    )
    assert again.json()["executionId"] == first
    small.client.post(f"/api/executions/{first}/cancel")

    def accepted(_number: int) -> int:
        return small.client.post(EXECUTE, json={"workflowId": workflow_id}).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(accepted, range(40)))
    assert codes.count(200) <= 1  # the count is believed for a moment
    assert small.sql("SELECT count(*) FROM workflow_executions WHERE status = 'pending'") <= [(3,)]


def limited(server: ApiServer, limit: int, policy: str) -> str:
    settings = {"concurrency": {"limit": limit, "policy": policy}, "retentionDays": 7}
    return server.save({**GREETING, "settings": settings})


def test_what_a_workflow_allows_is_stored_with_the_execution(server: ApiServer) -> None:
    workflow_id = limited(server, 2, "queue")
    ids = [server.execute(workflow_id, priority=5) for _ in range(3)]
    rows = server.sql(
        'SELECT DISTINCT "concurrencyLimit", "retentionDays", priority, status '
        'FROM workflow_executions WHERE "workflowId" = ?',
        workflow_id,
    )
    assert (rows, len(ids)) == ([(2, 7, 5, "pending")], 3)


def test_one_more_is_refused(server: ApiServer) -> None:
    workflow_id = limited(server, 2, "reject")
    first = server.execute(workflow_id)
    server.execute(workflow_id)
    before = server.rows()
    problem(server.client.post(EXECUTE, json={"workflowId": workflow_id}), 409, "concurrency_limit")
    assert server.rows() == before
    server.client.post(f"/api/executions/{first}/cancel")
    server.execute(workflow_id)


def test_one_more_replaces_the_oldest(server: ApiServer) -> None:
    workflow_id = limited(server, 2, "replace")
    running = server.execute(workflow_id)
    hold(server, running)
    ids = [server.execute(workflow_id) for _ in range(4)]
    assert [server.poll(one)["status"] for one in ids] == [
        *("cancelled", "cancelled", "pending", "pending")
    ]
    assert server.poll(running)["cancelRequestedAt"]


@pytest.mark.parametrize(
    ("settings", "code", "pointer"),
    [
        ({"concurrency": {"limit": 0}}, "number_range", "/concurrency/limit"),
        ({"concurrency": {"limit": 1001}}, "number_range", "/concurrency/limit"),
        ({"concurrency": {}}, "required", "/concurrency/limit"),
        ({"concurrency": {"limit": 1, "policy": "drop"}}, "value_unknown", "/concurrency/policy"),
        ({"concurrency": 3}, "type_object_expected", "/concurrency"),
        ({"retentionDays": -1}, "number_range", "/retentionDays"),
    ],
)
def test_settings_that_are_wrong(
    server: ApiServer, settings: dict[str, Any], code: str, pointer: str
) -> None:
    body = {"name": "x", "data": {**GREETING, "settings": settings}}
    found = server.client.post("/api/workflows", json=body).json()
    assert found["errors"][0]["code"] == code
    assert found["errors"][0]["pointer"] == f"/data/settings{pointer}"


@pytest.mark.parametrize("priority", [-101, 101, "1", True, 1.5])
def test_priorities_that_are_wrong(server: ApiServer, priority: Any) -> None:
    body = {"workflowId": server.save(), "priority": priority}
    assert server.client.post(EXECUTE, json=body).status_code == 422
