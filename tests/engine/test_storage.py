"""A database that does not accept writes holds executions up; it does not fail them."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from core.errors import Failure
from store import engine, transitions
from store.journal import Journal
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


async def test_a_lock_that_outlasts_all_leases_takes_no_execution_away(stage: Stage) -> None:
    # P7: nobody could renew, so what is expired is not abandoned
    graph = line(node("g", "gate"), node("b", "pass"))
    async with stage.worker("w1"), stage.worker("w2"):
        execution_id = await stage.accept(graph)
        await stage.running("g")
        with locked(stage):
            await asyncio.sleep(1.6)  # the time for which the database is locked: two leases
        await asyncio.sleep(1.2)  # the time in which someone could take it over
        stage.calls.gates["gate"].set()
        row = await stage.ended(execution_id, 4)
    assert (row["epoch"], row["interruptions"]) == (1, 0)
    assert stage.calls.attempts == {"g": [1], "b": [1]}


async def test_a_flush_waits_for_its_own_part_only(stage: Stage) -> None:
    """A long chain of pure nodes keeps the journal busy; an effect beside it must begin soon."""
    graph = line(node("a", "effect"))
    plan, execution_id = stage.compile(graph), await stage.accept(graph)
    claim = partial(transitions.claim, worker="w", limit=1, lease_ms=60_000, observability="full")
    (claimed,) = await stage.database.write(claim)
    journal = Journal(stage.database, claimed.lease)
    journal.started(plan.nodes["a"], 1, None)
    flushed = asyncio.create_task(journal.flush())
    deadline = time.monotonic() + 5
    while not flushed.done() and time.monotonic() < deadline:
        journal.retrying(plan.nodes["a"], 1, Failure("x", "y"), 0)
        await asyncio.sleep(0)
    assert flushed.done()
    assert execution_id == claimed.lease.execution_id
    await journal.flush()
