"""Every change of state, with its events, in one transaction."""

import asyncio
from functools import partial

import pytest
import sqlalchemy as sa

from core.errors import AlreadyFinished, Failure, LeaseLost, NotFound
from core.events import ExecutionCompleted
from core.status import ExecutionStatus
from core.walk import NodeResult
from database import events, execution_logs, node_runs, workflow_executions
from store import executions, leases, transitions
from store.changes import Ending, Lease
from store.engine import Database
from store.journal import Journal
from store.payloads import Stored
from tests.store.executions import NODES, accept, begin, claim, run_node


async def find(database: Database, execution_id: str) -> dict[str, object]:
    return await database.read(partial(executions.find, execution_id=execution_id))


async def event_types(database: Database, execution_id: str) -> list[tuple[int, str]]:
    chosen = (
        sa.select(events.c.seq, events.c.type)
        .where(events.c.executionId == execution_id)
        .order_by(events.c.seq)
    )
    return [(row.seq, row.type) for row in await database.read(lambda c: c.execute(chosen).all())]


async def complete(journal: Journal, result: object = None) -> None:
    stored = Stored.of(result)
    ending = Ending(ExecutionStatus.COMPLETED, result=stored.json.decode())
    await journal.end(ExecutionCompleted(None), ending, result=stored)


async def test_an_execution_is_stored_with_its_node_runs_and_first_event(
    database: Database,
) -> None:
    # R000-03, R003-05
    execution_id = await accept(database)
    row = await find(database, execution_id)
    assert (row["status"], row["seq"], row["totalNodes"]) == ("pending", 1, 3)
    assert await event_types(database, execution_id) == [(1, "execution.created")]
    counted = sa.select(sa.func.count()).select_from(node_runs)
    assert await database.read(lambda c: c.execute(counted).scalar_one()) == 3


async def test_a_claim_is_made_once(database: Database) -> None:
    ids = [await accept(database) for _ in range(5)]
    claims = await asyncio.gather(*(claim(database, f"w{n}") for n in range(4)))
    claimed = [one.lease.execution_id for group in claims for one in group]
    assert sorted(claimed) == sorted(ids)


async def test_the_oldest_comes_first_unless_priority_says_otherwise(database: Database) -> None:
    first = await accept(database)
    urgent = await accept(database, priority=5)
    one = await database.write(
        partial(transitions.claim, worker="w", limit=1, lease_ms=1000, observability="full")
    )
    assert [c.lease.execution_id for c in one] == [urgent]
    assert [c.lease.execution_id for c in await claim(database)] == [first]


async def test_an_expired_lease_is_taken_over_and_the_old_worker_is_fenced_out(
    database: Database,
) -> None:
    execution_id = await accept(database)
    await claim(database, "old", lease_ms=0)
    old = Journal(database, Lease(execution_id, 1))
    (taken,) = await claim(database, "new")
    assert (taken.lease.epoch, taken.interruptions) == (2, 1)
    run_node(old, NODES[0])
    with pytest.raises(LeaseLost):
        await old.flush()
    assert all(kind != "node.started" for _, kind in await event_types(database, execution_id))


async def test_events_are_dense_under_concurrent_writers(database: Database) -> None:
    # many moves of one journal, and cancels from elsewhere, at once
    execution_id, journal = await begin(database)

    async def record(number: int) -> None:
        node = NODES[number % 3]
        journal.retrying(node, number, Failure("x", "y"), 0.1)
        await journal.flush()

    async def cancel() -> None:
        await database.write(
            partial(transitions.request_cancel, execution_id=execution_id, by="user")
        )

    await asyncio.gather(*(record(n) for n in range(100)), *(cancel() for _ in range(20)))
    seqs = [seq for seq, _ in await event_types(database, execution_id)]
    assert seqs == list(range(1, len(seqs) + 1))
    kinds = [kind for _, kind in await event_types(database, execution_id)]
    assert kinds.count("node.retrying") == 100
    assert kinds.count("execution.cancel_requested") == 1


async def test_a_write_applied_twice_changes_nothing_the_second_time(database: Database) -> None:
    # the answer of a commit may be lost: the worker tries again
    execution_id, journal = await begin(database)
    run_node(journal, NODES[0])
    changes = journal._changes
    apply = partial(transitions.apply, lease=journal.lease, flush=1, changes=changes)
    first = await database.write(apply)
    assert await database.write(apply) == first
    assert len(await event_types(database, execution_id)) == first
    row = await find(database, execution_id)
    assert row["completedNodes"] == 1


async def test_an_end_is_written_once_and_never_overwritten(database: Database) -> None:
    # R003-13 and the race in which "completed" overwrote "cancelled"
    execution_id, journal = await begin(database)
    await complete(journal, {"a": 1})
    with pytest.raises(AlreadyFinished) as refused:
        await database.write(
            partial(transitions.request_cancel, execution_id=execution_id, by="user")
        )
    assert refused.value.extra == {"status": "completed"}
    late = Journal(database, Lease(execution_id, 1))
    late._flush = 1
    with pytest.raises(LeaseLost):
        await complete(late)
    row = await find(database, execution_id)
    assert (row["status"], row["finalOutput"]) == ("completed", '{"a":1}')
    assert row["completedAt"] is not None


@pytest.mark.parametrize("value", [0, False, "", [], {}, None, 1.5, "ñ\u2028"])
async def test_falsy_values_are_values(database: Database, value: object) -> None:
    # defect 10: 0, [] and "" were stored as NULL
    execution_id, journal = await begin(database)
    journal.started(NODES[0], 1, value)
    journal.completed(NODES[0], NodeResult(value, ("out",)), duration=1)
    await complete(journal, value)
    row = await find(database, execution_id)
    assert executions.final_output(row) == value
    (run,) = [
        run
        for run in await database.read(
            partial(executions.stored_node_runs, execution_id=execution_id)
        )
        if run.node_id == "n0"
    ]
    assert run.output == value
    assert type(run.output) is type(value)


async def test_a_large_value_is_stored_once_and_referred_to(database: Database) -> None:
    execution_id, journal = await begin(database)
    large = {"text": "x" * 100_000}
    for node in NODES:
        run_node(journal, node, large)
    await complete(journal, large)
    runs = await database.read(partial(executions.stored_node_runs, execution_id=execution_id))
    assert [run.output for run in runs] == [large] * 3
    sizes = sa.select(sa.func.max(sa.func.length(events.c.data)))
    assert await database.read(lambda c: c.execute(sizes).scalar_one()) < 1000


async def test_cancel_ends_what_nobody_runs_at_once(database: Database) -> None:
    # R000-15, R002-24
    execution_id = await accept(database)
    before = await database.write(
        partial(transitions.request_cancel, execution_id=execution_id, by="ana")
    )
    row = await find(database, execution_id)
    assert (before, row["status"], row["cancelledBy"]) == ("pending", "cancelled", "ana")
    assert row["completedAt"] is not None
    assert await claim(database) == []
    statuses = sa.select(node_runs.c.status).distinct()
    assert await database.read(lambda c: c.execute(statuses).scalars().all()) == ["cancelled"]


async def test_cancel_of_an_orphan_does_not_wait_for_a_worker(database: Database) -> None:
    execution_id = await accept(database)
    await claim(database, "gone", lease_ms=0)
    await database.write(partial(transitions.request_cancel, execution_id=execution_id, by="ana"))
    assert (await find(database, execution_id))["status"] == "cancelled"


async def test_cancel_of_something_unknown_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        await database.write(partial(transitions.request_cancel, execution_id="no", by="ana"))


async def test_logs_have_a_running_row_and_then_an_end(database: Database) -> None:
    # R003-10, R003-31, R000-08
    execution_id, journal = await begin(database)
    journal.started(NODES[0], 1, {"in": 1})
    journal.failed(NODES[0], Failure("http_status", "It said 500."), None, duration=7)
    await journal.flush()
    rows = await database.read(partial(executions.all_logs, execution_id=execution_id))
    assert [(r["status"], r["duration"], r["error"]) for r in rows] == [
        ("running", None, None),
        ("error", 7, "It said 500."),
    ]
    assert rows[0]["inputData"] == '{"in":1}'
    assert [len(row["id"]) for row in rows] == [16, 16]


async def test_the_tables_can_be_queried_by_hand(database: Database) -> None:
    # R003-31
    execution_id, journal = await begin(database)
    run_node(journal, NODES[0], {"a": 1})
    await complete(journal)
    by_hand = sa.text('SELECT status, "finalOutput" FROM workflow_executions WHERE id = :id')
    row = await database.read(lambda c: c.execute(by_hand, {"id": execution_id}).one())
    assert tuple(row) == ("completed", "null")
    logs = sa.select(execution_logs.c.outputData).where(execution_logs.c.status == "completed")
    text = await database.read(lambda c: c.execute(logs).scalar_one())
    assert text == '{"success":true,"message":"","outputData":{"a":1}}'


async def test_renewal_keeps_a_lease_and_tells_of_a_cancel(database: Database) -> None:
    execution_id = await accept(database)
    await claim(database, "me", lease_ms=0)
    keep = partial(leases.renew, worker="me", ids=[execution_id, "other"], lease_ms=60_000)
    (held,) = await database.write(keep)
    assert (held.lease, held.cancel_requested) == (Lease(execution_id, 1), False)
    assert await claim(database, "thief") == []
    await database.write(partial(transitions.request_cancel, execution_id=execution_id, by="ana"))
    (held,) = await database.write(keep)
    assert held.cancel_requested


async def test_rows_of_another_application_are_left_alone(database: Database) -> None:
    # R003-32, C20
    row = {"id": "foreign", "workflowId": "w", "status": "running"}
    await database.write(lambda c: c.execute(workflow_executions.insert().values(row)) and None)
    assert await claim(database) == []
    with pytest.raises(NotFound):
        await database.write(partial(transitions.request_cancel, execution_id="foreign", by="x"))
    assert (await find(database, "foreign"))["status"] == "running"
