"""The engine under test: a worker's loop in this process, on a database of the test's own."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from config import Settings
from store.engine import Database
from tests.engine.stage import Stage
from tests.servers.postgres import PostgresServer
from tests.store.conftest import database, postgres

__all__ = ["database", "postgres"]

FAST: dict[str, Any] = {
    "orchestrator": "direct",
    "poll_seconds": 0.02,
    "lease_seconds": 0.9,
    "_env_file": None,
}


@pytest.fixture
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings for a quick worker: on SQLite, or on the kind that a test asks for indirectly."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return Settings(data_dir=tmp_path, **FAST)
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"t{secrets.token_hex(6)}"
    connection = await asyncpg.connect(server.url())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return Settings(data_dir=tmp_path, database_url=SecretStr(server.url(name)), **FAST)


@pytest.fixture
async def stage(settings: Settings, database: Database) -> AsyncIterator[Stage]:
    """Node types under the test's control, and workers on demand."""
    opened = Stage(settings, database)
    yield opened
    await opened.close()
