"""A process starts whatever the others are doing."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from config import Settings
from core.errors import StorageUnavailable
from store import schema
from store.engine import BUSY_SECONDS, Database


# P7
async def test_a_process_starts_while_another_one_holds_the_write_lock(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, _env_file=None)
    first = Database.open(settings)
    await schema.prepare(first)
    await first.close()
    with closing(sqlite3.connect(tmp_path / "cauce.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        second = Database.open(settings)
        async with asyncio.timeout(BUSY_SECONDS / 2):
            await schema.prepare(second)
        assert await second.read(schema.is_newest)
        await second.close()


async def test_missing_tables_are_told_from_new_ones(tmp_path: Path) -> None:
    database = Database.open(Settings(data_dir=tmp_path, _env_file=None))
    assert not await database.read(schema.is_newest)
    await schema.prepare(database)
    assert await database.read(schema.is_newest)
    await database.close()


# P10
async def test_a_process_waits_for_a_database_that_is_not_there_yet(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, _env_file=None)
    file = tmp_path / "cauce.db"
    file.mkdir()  # nothing can be opened there
    database = Database.open(settings)
    with pytest.raises(StorageUnavailable):
        await schema.prepare(database, patience=0.1)
    preparing = asyncio.create_task(schema.prepare(database))
    await asyncio.sleep(0)
    file.rmdir()
    await preparing
    assert await database.read(schema.is_newest)
    await database.close()
