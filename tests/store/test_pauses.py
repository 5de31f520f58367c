"""Pausing by hand: what nobody runs at once, what a worker runs through that worker."""

import asyncio
from functools import partial

import pytest
import sqlalchemy as sa

from core.errors import AlreadyFinished, LeaseLost, NotFound, NotWaiting, PauseWithdrawn
from core.events import ExecutionPaused
from core.status import ExecutionStatus, Reason
from database import workflow_executions
from store import executions, leases, pauses, transitions
from store.changes import Ending, Lease
from store.engine import Database
from store.journal import Journal
from tests.store.executions import NODES, accept, begin, claim, run_node
from tests.store.test_transitions import event_types, find

S = ExecutionStatus


async def pause(database: Database, execution_id: str) -> ExecutionStatus:
    return await database.write(partial(pauses.request_pause, execution_id=execution_id, by="ana"))


async def resume(database: Database, execution_id: str) -> ExecutionStatus:
    return await database.write(partial(pauses.resume, execution_id=execution_id, by="ana"))


async def carry_out(journal: Journal) -> None:
    ending = Ending(S.PAUSED, Reason.MANUAL)
    await journal.end(ExecutionPaused(Reason.MANUAL.value), ending)


async def kinds(database: Database, execution_id: str) -> list[str]:
    return [kind for _, kind in await event_types(database, execution_id)]


async def test_what_waits_is_paused_at_once_and_waits_again_when_resumed(
    database: Database,
) -> None:
    execution_id = await accept(database)
    assert [await pause(database, execution_id) for _ in range(3)] == [S.PAUSED] * 3
    row = await find(database, execution_id)
    assert (row["status"], row["reason"], row["claimAt"]) == ("paused", "manual", None)
    assert await claim(database) == []
    assert await resume(database, execution_id) is S.PENDING
    assert (await find(database, execution_id))["reason"] is None
    assert len(await claim(database)) == 1
    expected = ["created", "paused", "resumed", "started"]
    assert await kinds(database, execution_id) == [f"execution.{word}" for word in expected]


async def test_the_worker_is_asked_and_tells_when_it_is_done(database: Database) -> None:
    execution_id, journal = await begin(database)
    assert {await pause(database, execution_id) for _ in range(3)} == {S.RUNNING}
    keep = partial(leases.renew, worker="w", ids=[execution_id], lease_ms=60_000)
    (held,) = await database.write(keep)
    assert (held.cancel_requested, held.pause_requested) == (False, True)
    run_node(journal, NODES[0], 7)
    await carry_out(journal)
    row = await find(database, execution_id)
    assert (row["status"], row["leaseOwner"], row["completedAt"]) == ("paused", None, None)
    assert row["pauseRequestedAt"] is None
    assert await database.write(keep) == []
    late = Journal(database, journal.lease)
    late._flush = journal._flush
    run_node(late, NODES[1])
    with pytest.raises(LeaseLost):  # the lease is over, although the execution has not ended
        await late.flush()
    await resume(database, execution_id)
    (again,) = await claim(database)
    assert (again.lease.epoch, again.interruptions, again.pause_requested) == (2, 0, False)
    known = await database.read(partial(executions.stored_node_runs, execution_id=execution_id))
    assert [(run.node_id, run.output) for run in known] == [("n0", 7)]
    assert (await kinds(database, execution_id)).count("execution.pause_requested") == 1


@pytest.mark.parametrize("change", ["resume", "cancel"])
async def test_a_pause_that_nobody_wants_any_more_is_not_carried_out(
    database: Database, change: str
) -> None:
    # the pause is written after it was taken back, or after a cancel came
    execution_id, journal = await begin(database)
    await pause(database, execution_id)
    if change == "resume":
        assert await resume(database, execution_id) is S.RUNNING
    else:
        await database.write(
            partial(transitions.request_cancel, execution_id=execution_id, by="ana")
        )
    with pytest.raises(PauseWithdrawn):
        await carry_out(journal)
    assert (await find(database, execution_id))["status"] == "running"
    assert "execution.paused" not in await kinds(database, execution_id)


async def test_an_orphan_is_paused_at_once_and_its_worker_fenced_out(database: Database) -> None:
    execution_id = await accept(database)
    await claim(database, "gone", lease_ms=0)
    assert await pause(database, execution_id) is S.PAUSED
    late = Journal(database, Lease(execution_id, 1))
    run_node(late, NODES[0])
    with pytest.raises(LeaseLost):
        await late.flush()


async def test_a_pause_outlives_the_worker_that_was_asked(database: Database) -> None:
    execution_id, _journal = await begin(database)
    await pause(database, execution_id)
    await database.write(partial(leases.bury, worker="w"))
    (taken,) = await claim(database, "next")
    assert taken.pause_requested


async def test_a_paused_execution_is_taken_up_when_its_time_is_over(database: Database) -> None:
    execution_id = await accept(database, timeout=60_000)
    await pause(database, execution_id)
    assert await claim(database) == []
    due = workflow_executions.update().values(claimAt=1, deadlineAt=1)
    await database.write(lambda c: c.execute(due) and None)
    (taken,) = await claim(database)
    assert taken.row["remaining"] < 0
    assert execution_id == taken.lease.execution_id


async def test_cancel_of_a_paused_one_is_immediate(database: Database) -> None:
    execution_id = await accept(database)
    await pause(database, execution_id)
    await database.write(partial(transitions.request_cancel, execution_id=execution_id, by="ana"))
    assert (await find(database, execution_id))["status"] == "cancelled"


async def test_refusals(database: Database) -> None:
    # B144, B146
    execution_id = await accept(database)
    with pytest.raises(NotWaiting):
        await resume(database, execution_id)
    with pytest.raises(NotFound):
        await pause(database, "nowhere")
    await database.write(partial(transitions.request_cancel, execution_id=execution_id, by="ana"))
    for verb in (pause, resume):
        with pytest.raises(AlreadyFinished):
            await verb(database, execution_id)


async def test_pauses_and_resumes_at_once_leave_one_story(database: Database) -> None:
    # P15
    execution_id = await accept(database)
    await asyncio.gather(*(pause(database, execution_id) for _ in range(30)))
    answers = await asyncio.gather(
        *(resume(database, execution_id) for _ in range(30)), return_exceptions=True
    )
    assert [type(one) for one in answers].count(NotWaiting) == 29
    count = sa.func.count().label("n")
    rows = sa.select(workflow_executions.c.seq, count).group_by(workflow_executions.c.seq)
    assert [tuple(row) for row in await database.read(lambda c: c.execute(rows).all())] == [(3, 1)]
