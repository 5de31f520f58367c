"""The way of one execution through the API on PostgreSQL."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from config import Settings
from tests.api.conftest import problem
from tests.servers.api_server import ApiServer, api_server
from tests.servers.postgres import find_binaries, postgres_server

EXECUTE = "/api/workflows/execute"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[ApiServer]]:
    """Two APIs on one PostgreSQL database."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres_server(binaries) as postgres:
        url = SecretStr(postgres.url())
        settings = Settings(data_dir=tmp_path, database_url=url, _env_file=None)
        with api_server(settings) as first, api_server(settings) as second:
            yield [first, second]


async def test_it_is_the_same_on_postgresql(servers: list[ApiServer]) -> None:
    # R003-35, B040, B142, B145, B152, P15: any number of API processes
    first, second = servers
    workflow_id = first.save()
    key = {"Idempotency-Key": secrets.token_hex(4)}

    def post(number: int) -> str:
        api = servers[number % 2]
        answer = api.client.post(EXECUTE, json={"workflowId": workflow_id}, headers=key)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["executionId"])

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(post, range(40)))
    assert len(ids) == 1
    (once,) = ids
    other = second.execute(workflow_id, inputs={"name": 0})
    query = f"/api/executions?workflowId={workflow_id}&limit=1"
    page = first.client.get(query).json()
    rest = first.client.get(f"{query}&cursor={page['nextCursor']}").json()
    seen = [one["executionId"] for one in page["executions"] + rest["executions"]]
    assert (sorted(seen), rest["nextCursor"]) == (sorted([once, other]), None)
    cancelled = first.client.post(f"/api/executions/{other}/cancel").json()
    assert cancelled["message"] == "Execution cancelled"
    assert second.poll(other)["status"] == "cancelled"
    problem(first.client.get("/api/executions/%00"), 404, "not_found")
    problem(first.client.post(EXECUTE, json={"workflowId": "none"}), 404, "not_found")
    connection = await asyncpg.connect(
        first.settings.database_url.get_secret_value()  # type: ignore[union-attr]
    )
    assert await connection.fetchval("SELECT count(*) FROM workflow_executions") == 2
    await connection.close()
