"""Workers come, go and die; their executions go on."""

import asyncio
from functools import partial
from typing import Any

import pytest

from core.errors import Failure, LeaseLost
from core.walk import NodeResult
from database import workflow_executions
from flows import worker_loop
from store import executions, leases, transitions
from store.changes import Lease
from store.journal import Journal
from store.payloads import decode
from store.transitions import Claimed
from tests.engine.stage import Stage, line
from tests.strategies.graphs import document, edge, node
from tests.until import until

BOTH = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)


async def claim(stage: Stage, lease_ms: int = 0, worker: str = "gone@elsewhere:1") -> Claimed:
    """Take the execution that waits, as a worker that will die does."""
    claimed = await stage.database.write(
        partial(transitions.claim, worker=worker, limit=1, lease_ms=lease_ms, observability="full")
    )
    return claimed[0]


@BOTH
async def test_two_workers_share_the_work_and_nothing_runs_twice(stage: Stage) -> None:
    graph = line(node("t", "trigger"), node("g", "gate"), node("a", "effect", value=1))
    ids = [await stage.accept(graph) for _ in range(40)]

    async def both_are_busy() -> bool:
        return len(stage.calls.running) == 10

    async with (
        stage.worker("w1", worker_concurrency=5),
        stage.worker("w2", worker_concurrency=5),
    ):
        await until(both_are_busy, "each worker to hold as many as it may")
        stage.calls.gates["gate"].set()
        rows = await asyncio.gather(*(stage.ended(one) for one in ids))
    assert {row["status"] for row in rows} == {"completed"}
    assert set(stage.calls.counts.values()) == {1}
    assert len(stage.calls.counts) == 80
    starts = [await stage.events(one, "execution.started") for one in ids]
    assert {len(events) for events in starts} == {1}
    workers = {data["worker"].split("@")[0] for ((_, _, data),) in starts}
    assert workers == {"w1", "w2"}


@BOTH
async def test_a_worker_that_stops_hands_its_executions_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # P2, P20: finished nodes never run again; the one cut off does, as another attempt
    monkeypatch.setattr(worker_loop, "DRAIN_SECONDS", 0.05)
    graph = line(node("a", "effect", value=1), node("g", "gate"), node("b", "pass"))
    execution_id = await stage.accept(graph)
    async with stage.worker("w1"):
        await stage.running("g")
    assert (await stage.find(execution_id))["status"] == "running"
    async with stage.worker("w2"):
        await stage.running("g")
        stage.calls.gates["gate"].set()
        row = await stage.ended(execution_id)
    assert (row["status"], row["interruptions"], row["epoch"]) == ("completed", 0, 2)
    assert stage.calls.attempts == {"a": [1], "g": [1, 2], "b": [1]}
    assert stage.calls.inputs["b"] == [1]
    told = await stage.events(execution_id, "node.interrupted")
    assert [(name, data["attempt"]) for _, name, data in told] == [("g", 1)]


async def test_the_keeper_holds_a_lease_for_longer_than_it_lasts(stage: Stage) -> None:
    async with stage.worker("w1"), stage.worker("w2"):
        execution_id = await stage.accept(line(node("g", "gate")))
        await stage.running("g")
        await asyncio.sleep(1.3)  # longer than a lease lasts
        stage.calls.gates["gate"].set()
        row = await stage.ended(execution_id)
    assert (row["epoch"], stage.calls.attempts["g"]) == (1, [1])


async def test_a_silent_worker_is_replaced_and_fenced_out(stage: Stage) -> None:
    # P3: not one write of the old epoch lands
    graph = line(node("a", "effect", value=1), node("b", "pass"))
    plan = stage.compile(graph)
    execution_id = await stage.accept(graph)
    silent = Journal(stage.database, (await claim(stage)).lease)
    silent.started(plan.nodes["a"], 1, None)
    silent.completed(plan.nodes["a"], NodeResult("from the silent one", ("out",)), duration=1)
    silent.started(plan.nodes["b"], 1, "from the silent one")
    await silent.flush()
    async with stage.worker():
        row = await stage.ended(execution_id)
    silent.completed(plan.nodes["b"], NodeResult("too late", ("out",)), duration=1)
    with pytest.raises(LeaseLost):
        await silent.flush()
    assert (row["status"], decode(row["finalOutput"])) == ("completed", "from the silent one")
    assert (row["epoch"], row["interruptions"]) == (2, 0), "a node that settles forgives"
    assert stage.calls.attempts == {"b": [2]}


async def test_an_old_epoch_is_refused_while_the_new_one_runs(stage: Stage) -> None:
    # P3, I6: neither the end of the execution nor the count of writes may be what refuses it
    graph = line(node("a", "effect"))
    plan = stage.compile(graph)
    execution_id = await stage.accept(graph)
    old = Journal(stage.database, (await claim(stage)).lease)
    new = Journal(stage.database, (await claim(stage)).lease)
    old.started(plan.nodes["a"], 1, None)
    with pytest.raises(LeaseLost):
        await old.flush()
    assert await stage.events(execution_id, "node.started") == []
    new.started(plan.nodes["a"], 1, None)
    await new.flush()
    assert len(await stage.events(execution_id, "node.started")) == 1


async def test_a_worker_whose_lease_was_taken_stops(stage: Stage) -> None:
    # P3: it stops within 1 s of noticing
    graph = line(node("g", "gate"), node("b", "pass"))
    execution_id = await stage.accept(graph)
    async with stage.worker("w1"):
        await stage.running("g")
        take = partial(leases.bury, worker=(await stage.find(execution_id))["leaseOwner"])
        await stage.database.write(take)
        claimed = await claim(stage, lease_ms=60_000)
        assert claimed.lease == Lease(execution_id, 2)

        async def cut_off() -> bool:
            return stage.calls.cut_off == ["g"]

        await until(cut_off, "the first worker to stop", 2)
        await stage.database.write(partial(leases.release, leases=[claimed.lease]))
        await stage.running("g")
        stage.calls.gates["gate"].set()
        row = await stage.ended(execution_id)
    assert (row["status"], stage.calls.attempts["g"]) == ("completed", [1, 2])


async def test_an_execution_that_kills_its_workers_is_given_up(stage: Stage) -> None:
    # P22
    graph = line(node("a", "effect"), node("b", "pass"))
    plan = stage.compile(graph)
    execution_id = await stage.accept(graph)
    for attempt in range(1, 4):
        known = await stage.database.read(
            partial(executions.stored_node_runs, execution_id=execution_id)
        )
        journal = Journal(stage.database, (await claim(stage)).lease, known)
        if known:
            journal.interrupted("a")
        journal.started(plan.nodes["a"], attempt, None)
        await journal.flush()
    async with stage.worker():
        row = await stage.ended(execution_id)
    assert (row["status"], row["reason"], row["interruptions"]) == ("failed", "crash_loop", 3)
    assert "died 3 times" in row["error"]
    assert stage.calls.inputs == {}


async def test_a_failure_that_its_worker_did_not_live_to_act_on(stage: Stage) -> None:
    graph = document(
        [node("t", "trigger"), node("a", "flaky"), node("b", "pass"), node("c", "pass")],
        edge("t", "a"),
        edge("a", "b"),
        edge("t", "c"),
    )
    plan = stage.compile(graph)
    execution_id = await stage.accept(graph)
    failure = Failure("http_status", "It said 500.")
    journal = Journal(stage.database, (await claim(stage)).lease)
    for name in ("t", "a"):
        journal.started(plan.nodes[name], 1, None)
        if name == "t":
            journal.completed(plan.nodes[name], NodeResult({}, ("out",)), duration=1)
    journal.failed(plan.nodes["a"], failure, None, duration=1)
    await journal.flush()
    async with stage.worker():
        row = await stage.ended(execution_id)
    assert (row["status"], row["reason"]) == ("failed", "node_failed")
    assert row["error"] == 'Node "a" failed: It said 500.'
    assert stage.calls.inputs == {}


@pytest.mark.parametrize(
    ("more", "status", "calls"),
    [
        ({}, "completed", 1),
        ({"onInterrupt": "retry"}, "completed", 1),
        ({"onInterrupt": "fail"}, "failed", 0),
        ({"onInterrupt": "fail", "onError": "continue"}, "completed", 0),
    ],
)
async def test_what_becomes_of_a_node_that_was_cut_off(
    stage: Stage, more: dict[str, Any], status: str, calls: int
) -> None:
    graph = line(node("a", "effect", value=1, **more), node("b", "pass"))
    plan = stage.compile(graph)
    execution_id = await stage.accept(graph)
    journal = Journal(stage.database, (await claim(stage)).lease)
    journal.started(plan.nodes["a"], 1, None)
    await journal.flush()
    async with stage.worker():
        row = await stage.ended(execution_id)
    assert (row["status"], len(stage.calls.inputs["a"])) == (status, calls)
    if calls == 0:
        ((_, _, data),) = await stage.events(execution_id, "node.failed")
        assert (data["attempt"], data["error"]["code"]) == (1, "interrupted")


@pytest.mark.parametrize(
    "stored",
    [
        '{"nodes": [{"id": "a", "type": "nobody"}], "connections": []}',
        '{"nodes": [{"id": "a", "type": "value"}, {"id": "a", "type": "value"}]}',
        "[]",
        "not json",
    ],
)
async def test_a_stored_document_that_cannot_run_fails(stage: Stage, stored: str) -> None:
    async with stage.worker():
        row = await stage.run(stored, nodes=("a",))
    assert (row["status"], row["reason"]) == ("failed", "invalid")
    assert row["error"].startswith("The workflow cannot run: ")
    assert await stage.nodes(row["id"]) == {"a": "cancelled"}


async def test_an_execution_that_cannot_be_read_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # P22: it must not be taken up again for ever
    monkeypatch.setattr(worker_loop, "POSTPONE_SECONDS", 0.01)
    execution_id = await stage.accept(line(node("a", "value")))
    broken = workflow_executions.update().values(inputs="{broken")
    await stage.database.write(lambda c: c.execute(broken) and None)
    async with stage.worker():
        row = await stage.ended(execution_id)
    assert (row["status"], row["reason"]) == ("failed", "crash_loop")


@pytest.mark.parametrize("more", [{}, {"onInterrupt": "fail"}])
async def test_a_node_that_waited_for_its_next_attempt_was_not_interrupted(
    stage: Stage, more: dict[str, Any]
) -> None:
    graph = line(node("a", "effect", value=1, **more))
    plan = stage.compile(graph)
    execution_id = await stage.accept(graph)
    journal = Journal(stage.database, (await claim(stage)).lease)
    journal.started(plan.nodes["a"], 1, None)
    journal.retrying(plan.nodes["a"], 1, Failure("http_status", "It said 500."), 60)
    await journal.flush()
    async with stage.worker():
        row = await stage.ended(execution_id)
    assert (row["status"], stage.calls.attempts["a"]) == ("completed", [2])
    assert await stage.events(execution_id, "node.interrupted") == []
