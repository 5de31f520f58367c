"""Grouped writes: they share commits, not faults."""

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from config import Settings
from core.errors import Conflict, StorageUnavailable
from database import payloads
from store import engine, schema
from store.engine import Database
from store.payloads import Stored, insert_payloads, payload_rows


def insert(connection: sa.Connection, digest: str) -> str:
    connection.execute(payloads.insert().values(hash=digest, size=1, value="1", createdAt="now"))
    return digest


def insert_and_refuse(connection: sa.Connection, digest: str) -> None:
    insert(connection, digest)
    raise Conflict("no")


def stored(connection: sa.Connection) -> list[str]:
    return list(connection.execute(sa.select(payloads.c.hash).order_by("hash")).scalars())


async def test_writes_that_wait_together_each_get_their_own_answer(database: Database) -> None:
    names = [f"{number:03}" for number in range(200)]
    answers = await asyncio.gather(*(database.write(partial(insert, digest=n)) for n in names))
    assert answers == names
    assert await database.read(stored) == names


async def test_a_write_that_fails_takes_no_neighbour_with_it(database: Database) -> None:
    answers = await asyncio.gather(
        database.write(partial(insert, digest="a")),
        database.write(partial(insert_and_refuse, digest="b")),
        database.write(partial(insert, digest="c")),
        database.write(partial(insert, digest="c")),
        return_exceptions=True,
    )
    kinds = [type(answer).__name__ for answer in answers]
    assert kinds == ["str", "Conflict", "str", "IntegrityError"]
    assert await database.read(stored) == ["a", "c"]


async def test_a_reader_cannot_write_by_mistake(tmp_path: Path) -> None:
    database = Database.open(Settings(data_dir=tmp_path, _env_file=None))
    await schema.prepare(database)
    with pytest.raises(StorageUnavailable):
        await database.read(partial(insert, digest="a"))
    await database.close()


async def test_a_locked_file_is_unavailable_for_writes_and_fine_for_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # B164 and the promise about a locked database
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    database = Database.open(Settings(data_dir=tmp_path, _env_file=None))
    await schema.prepare(database)
    other = sqlite3.connect(tmp_path / "cauce.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable) as refused:
        await database.write(partial(insert, digest="a"))
    assert refused.value.retry_after is not None
    assert refused.value.retry_after <= 5
    assert await database.read(stored) == []
    other.execute("ROLLBACK")
    assert await database.write(partial(insert, digest="a")) == "a"
    other.close()
    await database.close()


async def test_equal_payloads_are_stored_once(database: Database) -> None:
    large = Stored.of("x" * 70_000)
    rows = payload_rows([large, large])
    await asyncio.gather(
        *(database.write(partial(insert_payloads, rows=rows, execution_id="e")) for _ in range(5))
    )
    assert await database.read(stored) == [large.hash]
