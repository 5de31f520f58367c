"""One real API for all tests of a run; each test has workflows of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from config import Settings
from tests.servers.api_server import ApiServer, api_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API on an SQLite file."""
    folder: Path = tmp_path_factory.mktemp("api")
    with api_server(Settings(data_dir=folder, max_body_bytes=256 * 1024, _env_file=None)) as found:
        yield found


@pytest.fixture
def client(server: ApiServer) -> httpx.Client:
    """A client of the API."""
    return server.client


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a problem of the house's shape, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (found["status"], found["code"]) == (status, code)
    assert found["type"] == f"/problems/{code}"
    assert found["instance"] == f"/requests/{answer.headers['x-request-id']}"
    assert isinstance(found["detail"], str)
    assert found["title"]
    assert isinstance(found["errors"], list)
    assert isinstance(found["truncated"], bool)
    for one in found["errors"]:
        assert set(one) == {"code", "pointer", "message", "nodeId"}
    assert "Traceback" not in answer.text
    return found
