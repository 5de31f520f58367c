"""Cancelling: whatever an execution is doing, it ends, and nothing starts afterwards."""

import asyncio

import pytest

from core.errors import AlreadyFinished
from flows import scheduler
from store.payloads import decode
from tests.engine.stage import Stage, line
from tests.strategies.graphs import document, edge, node
from tests.until import until

BOTH = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
SOON = 2.0
"""Seconds in which a cancel must have taken effect."""


@BOTH
async def test_a_node_that_awaits_is_cut_off(stage: Stage) -> None:
    # P19, R000-15, R000-16, R000-32; defect 5: not interrupted, completedAt stayed null
    graph = document(
        [node("t", "trigger"), node("g", "gate"), node("h", "gate"), node("after", "pass")],
        edge("t", "g"),
        edge("t", "h"),
        edge("g", "after"),
    )
    async with stage.worker():
        execution_id = await stage.accept(graph)
        await stage.running("g", "h")
        await stage.cancel(execution_id)
        row = await stage.ended(execution_id, SOON)
        stage.calls.gates["gate"].set()
    assert (row["status"], row["reason"], row["cancelledBy"]) == ("cancelled", "cancelled", "ana")
    assert sorted(stage.calls.cut_off) == ["g", "h"]
    assert "after" not in stage.calls.inputs
    statuses = {"t": "completed", "g": "cancelled", "h": "cancelled", "after": "cancelled"}
    assert await stage.nodes(execution_id) == statuses
    ((_, _, data),) = await stage.events(execution_id, "execution.cancelled")
    assert data == {"by": "ana"}
    assert decode(row["nodeResults"]) == {"t": {"success": True, "outputData": {}}}


async def test_an_execution_that_waits_for_a_worker_ends_at_once(stage: Stage) -> None:
    execution_id = await stage.accept(line(node("a", "value")))
    await stage.cancel(execution_id)
    assert (await stage.find(execution_id))["status"] == "cancelled"
    async with stage.worker():
        other = await stage.run(line(node("b", "value")))
    assert other["status"] == "completed"
    assert set(stage.calls.inputs) == {"b"}


async def test_a_retry_that_is_awaited_is_given_up(stage: Stage) -> None:
    retry = {"attempts": 3, "delay": 60}
    async with stage.worker():
        execution_id = await stage.accept(line(node("a", "flaky", times=9, retry=retry)))

        async def retrying() -> bool:
            return bool(await stage.events(execution_id, "node.retrying"))

        await until(retrying, "the first attempt to fail")
        await stage.cancel(execution_id)
        row = await stage.ended(execution_id, SOON)
    assert row["status"] == "cancelled"
    assert stage.calls.attempts["a"] == [1]


async def test_a_node_that_does_not_listen_cannot_hold_its_execution(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "CUT_OFF_SECONDS", 0.1)
    monkeypatch.setattr(scheduler, "LAST_SECONDS", 0.1)
    async with stage.worker():
        execution_id = await stage.accept(line(node("deaf", "gate", stubborn=1), node("b", "pass")))
        await stage.running("deaf")
        await stage.cancel(execution_id)
        row = await stage.ended(execution_id)
        assert row["status"] == "cancelled"
        assert stage.calls.running == {(execution_id, "deaf")}

        async def left() -> bool:
            return not stage.calls.running

        await until(left, "the deaf node to end by itself")
    assert await stage.nodes(execution_id) == {"deaf": "cancelled", "b": "cancelled"}
    assert [kind for kind, _, _ in await stage.events(execution_id)][-1] == "execution.cancelled"


async def test_cancel_again_and_cancel_too_late(stage: Stage) -> None:
    # B144, B145, P15
    async with stage.worker():
        execution_id = await stage.accept(line(node("g", "gate")))
        await stage.running("g")
        await asyncio.gather(*(stage.cancel(execution_id) for _ in range(20)))
        await stage.ended(execution_id)
    with pytest.raises(AlreadyFinished):
        await stage.cancel(execution_id)
    assert len(await stage.events(execution_id, "execution.cancel_requested")) == 1
