"""What has ended long ago is deleted, in small steps, and nothing else is."""

from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from core.events import ExecutionCompleted
from core.status import ExecutionStatus
from database import events, execution_logs, node_runs, payload_uses, payloads
from database import workflow_executions as executions
from flows.retention import prune_all
from store import retention
from store.changes import Ending, Lease
from store.engine import Database
from store.journal import Journal
from store.payloads import Stored
from tests.store.executions import NODES, accept, claim, run_node

OLD = "2020-01-01T00:00:00.000Z"
TABLES = (executions, events, execution_logs, node_runs, payload_uses, payloads)


async def ended(database: Database, output: Any = 1, *, old: bool = True, **facts: Any) -> str:
    """Return an execution that ended, long ago if it is old."""
    execution_id = await accept(database, **facts)
    await claim(database)
    journal = Journal(database, Lease(execution_id, 1))
    for node in NODES:
        run_node(journal, node, output)
    stored = Stored.of(None)
    ending = Ending(ExecutionStatus.COMPLETED, result=stored.column)
    await journal.end(ExecutionCompleted(None), ending, result=stored)
    if old:
        await write(
            database,
            executions.update().values(completedAt=OLD).where(executions.c.id == execution_id),
        )
        await write(database, payloads.update().values(createdAt=OLD))
    return execution_id


async def write(database: Database, statement: sa.Executable) -> None:
    await database.write(lambda c: c.execute(statement) and None)


async def count(database: Database) -> dict[str, int]:
    def counted(connection: sa.Connection) -> dict[str, int]:
        return {
            table.name: connection.execute(
                sa.select(sa.func.count()).select_from(table)
            ).scalar_one()
            for table in TABLES
        }

    return await database.read(counted)


async def ids(database: Database) -> set[str]:
    return set(await database.read(lambda c: c.execute(sa.select(executions.c.id)).scalars().all()))


async def test_only_what_is_old_and_ours_and_ended_goes(database: Database) -> None:
    gone = {await ended(database) for _ in range(3)}
    young = await ended(database, old=False)
    waiting = await accept(database)
    paused = await accept(database)
    await write(
        database,
        executions.update()
        .values(completedAt=OLD, status="paused")
        .where(executions.c.id == paused),
    )
    foreign = {"id": "foreign", "workflowId": "w", "status": "completed", "completedAt": OLD}
    await write(database, executions.insert().values(foreign))
    deleted = await prune_all(database, "w", 30)
    assert await ids(database) == {young, waiting, paused, "foreign"}
    assert gone
    assert deleted == 3 * (1 + 6 + 9 + 3)  # itself, logs, events, node runs
    kept = await count(database)
    assert (kept["cauce_events"], kept["cauce_node_runs"], kept["execution_logs"]) == (11, 9, 6)


async def test_without_a_term_everything_stays(database: Database) -> None:
    await ended(database)
    assert await prune_all(database, "w", 0) == 0


async def test_a_workflow_has_its_own_term(database: Database) -> None:
    await ended(database, retention_days=1)
    for_ever = await ended(database, retention_days=0)
    plain = await ended(database)
    await prune_all(database, "w", 0)
    assert await ids(database) == {for_ever, plain}
    await prune_all(database, "w", 1)
    assert await ids(database) == {for_ever}


async def test_large_values_go_with_their_last_user(database: Database) -> None:
    shared, own = {"text": "s" * 70_000}, {"text": "o" * 70_000}
    await ended(database, shared)
    await ended(database, own)
    await ended(database, shared, old=False)
    await write(database, payloads.update().values(createdAt=OLD))
    assert (await count(database))["cauce_payloads"] == 2
    await prune_all(database, "w", 30)
    left = await database.read(lambda c: c.execute(sa.select(payloads.c.value)).scalars().all())
    assert [text[9] for text in left] == ["s"]
    assert (await count(database))["cauce_payload_uses"] == 1


async def test_no_transaction_deletes_more_than_it_may(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 7)
    for _ in range(3):
        await ended(database)
    before = sum((await count(database)).values())
    while True:
        step = await database.write(partial(retention.prune, owner="w", default_days=1))
        after = sum((await count(database)).values())
        assert before - after <= 7
        before = after
        if not step.more:
            break
    assert await ids(database) == set()
    assert before == 0


async def test_one_worker_at_a_time(database: Database) -> None:
    await ended(database)
    assert await database.write(partial(retention.take_duty, owner="a"))
    assert await prune_all(database, "b", 1) == 0
    assert await prune_all(database, "a", 1) > 0
    assert await database.write(partial(retention.take_duty, owner="b"))


async def test_a_file_shrinks(database: Database) -> None:
    if database.kind != "sqlite":
        pytest.skip("PostgreSQL keeps its space for what comes next")
    for number in range(20):
        await ended(database, {"text": f"{number}" * 100_000})

    def pages(connection: sa.Connection) -> int:
        return int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)

    before = await database.read(pages)
    await prune_all(database, "w", 1)
    assert await database.read(pages) < before / 4
