"""Every test here runs on SQLite and on PostgreSQL."""

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from config import Settings
from store import schema
from store.engine import Database
from tests.servers.postgres import PostgresServer, find_binaries, postgres_server

MakeSettings = Callable[[], Settings]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole run."""
    binaries = find_binaries()
    if binaries is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed: the tests need its server")
        pytest.skip("PostgreSQL is not installed")
    with postgres_server(binaries) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings that name a database of the test's own."""
    if request.param == "sqlite":
        return Settings(data_dir=tmp_path, _env_file=None)
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"t{secrets.token_hex(6)}"
    connection = await asyncpg.connect(server.url())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return Settings(data_dir=tmp_path, database_url=SecretStr(server.url(name)), _env_file=None)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """A database with the tables in it."""
    opened = Database.open(settings)
    await schema.prepare(opened)
    yield opened
    await opened.close()
