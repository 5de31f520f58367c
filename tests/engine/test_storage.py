"""A database that does not accept writes holds executions up; it does not fail them."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from store import engine
from store.payloads import decode
from tests.engine.stage import Stage, line
from tests.strategies.graphs import node


@contextmanager
def locked(stage: Stage) -> Iterator[None]:
    """Hold SQLite's write lock, from another connection."""
    raw = sqlite3.connect(stage.settings.data_dir / "cauce.db", isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        raw.execute("ROLLBACK")
        raw.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes give up sooner than they do, so that they do so in the test's time."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)


async def test_a_locked_database_holds_a_run_up(stage: Stage) -> None:
    # P7
    graph = line(node("g", "gate"), node("a", "effect", value=1), node("b", "pass"))
    async with stage.worker(lease_seconds=30):
        execution_id = await stage.accept(graph)
        await stage.running("g")
        with locked(stage):
            stage.calls.gates["gate"].set()
            await asyncio.sleep(1)  # the time for which the database is locked
            assert "a" not in stage.calls.inputs, "no effect before its start is recorded"
            assert (await stage.find(execution_id))["status"] == "running"
        row = await stage.ended(execution_id, 4)
    assert (row["status"], decode(row["finalOutput"])) == ("completed", 1)
    assert stage.calls.attempts == {"g": [1], "a": [1], "b": [1]}


async def test_a_locked_database_does_not_stop_the_worker(stage: Stage) -> None:
    execution_id = await stage.accept(line(node("a", "value", value=1)))
    with locked(stage):
        async with asyncio.timeout(10):
            worker = stage.worker()
            await worker.__aenter__()
            await asyncio.sleep(0.5)  # the time for which the database is locked
        assert (await stage.find(execution_id))["status"] == "pending"
    row = await stage.ended(execution_id, 4)
    await worker.__aexit__(None, None, None)
    assert row["status"] == "completed"
