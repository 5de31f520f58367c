"""Pausing what a worker runs: nothing starts, what runs finishes, and all of it goes on later."""

import asyncio
from functools import partial

import pytest

from core.status import ExecutionStatus
from database import workflow_executions
from store import pauses
from store.wakeup import Bell, News
from tests.engine.stage import Stage, line
from tests.strategies.graphs import document, edge, node
from tests.until import until

BOTH = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
GRAPH = document(
    [node("t", "trigger"), node("g", "gate"), node("h", "gate", gate="other"), node("b", "pass")],
    edge("t", "g"),
    edge("t", "h"),
    edge("g", "b"),
    edge("h", "b"),
)


async def ask(stage: Stage, execution_id: str, verb: str) -> ExecutionStatus:
    """Pause or resume, as the API does."""
    change = {"pause": pauses.request_pause, "resume": pauses.resume}[verb]
    status = await stage.database.write(partial(change, execution_id=execution_id, by="ana"))
    bell = Bell(stage.settings.data_dir)
    bell.ring(News.PAUSE)
    bell.close()
    return status


async def paused(stage: Stage, execution_id: str) -> None:
    async def look() -> bool:
        return str((await stage.find(execution_id))["status"]) == "paused"

    await until(look, "the pause to be carried out")


@BOTH
async def test_running_nodes_finish_and_nothing_follows_until_it_is_resumed(stage: Stage) -> None:
    execution_id = await stage.accept(GRAPH)
    async with stage.worker("w1"):
        await stage.running("g", "h")
        assert await ask(stage, execution_id, "pause") == "running"
        stage.calls.gates["gate"].set()
        stage.calls.gates["other"].set()
        await paused(stage, execution_id)
        other = await stage.run(line(node("x", "pass")))  # the worker is free for others
    assert other["status"] == "completed"
    assert stage.calls.cut_off == []
    assert "b" not in stage.calls.inputs
    statuses = {"t": "completed", "g": "completed", "h": "completed", "b": "pending"}
    assert await stage.nodes(execution_id) == statuses
    async with stage.worker("w2"):  # it survives the restart of everything
        assert await ask(stage, execution_id, "resume") == "pending"
        row = await stage.ended(execution_id)
    assert (row["status"], row["reason"], row["interruptions"]) == ("completed", None, 0)
    assert stage.calls.attempts == {"g": [1], "h": [1], "x": [1], "b": [1]}
    kinds = [kind for kind, name, _ in await stage.events(execution_id) if name is None]
    assert [kind.removeprefix("execution.") for kind in kinds] == [
        *("created", "started", "pause_requested", "paused", "resumed", "started", "completed")
    ]


async def test_a_pause_that_is_taken_back_in_time_changes_nothing(stage: Stage) -> None:
    graph = document(
        [node("g", "gate"), node("h", "gate", gate="other"), node("b", "pass")], edge("h", "b")
    )
    execution_id = await stage.accept(graph)
    async with stage.worker() as worker:
        await stage.running("g", "h")
        await ask(stage, execution_id, "pause")

        async def pausing() -> bool:
            segment = worker._running[execution_id].segment
            return segment is not None and segment.pausing

        await until(pausing, "the worker to hear of the pause")
        stage.calls.gates["other"].set()

        async def h_ended() -> bool:
            return (await stage.nodes(execution_id))["h"] == "completed"

        await until(h_ended, "h to end")
        assert await ask(stage, execution_id, "resume") == "running"

        async def b_ended() -> bool:
            return (await stage.nodes(execution_id))["b"] == "completed"

        await until(b_ended, "b to start although g is still running")
        stage.calls.gates["gate"].set()
        row = await stage.ended(execution_id)
    assert (row["status"], row["epoch"]) == ("completed", 1)


async def test_an_execution_that_needs_nothing_more_ends_instead(stage: Stage) -> None:
    execution_id = await stage.accept(line(node("a", "value"), node("g", "gate")))
    async with stage.worker():
        await stage.running("g")
        await ask(stage, execution_id, "pause")
        stage.calls.gates["gate"].set()
        row = await stage.ended(execution_id)
    assert row["status"] == "completed"


async def test_cancel_of_one_that_is_about_to_pause(stage: Stage) -> None:
    # P19
    execution_id = await stage.accept(line(node("g", "gate"), node("b", "pass")))
    async with stage.worker():
        await stage.running("g")
        await ask(stage, execution_id, "pause")
        await stage.cancel(execution_id)
        row = await stage.ended(execution_id, 2)
    assert (row["status"], stage.calls.cut_off) == ("cancelled", ["g"])


async def test_the_time_limit_goes_on_while_it_is_paused(stage: Stage) -> None:
    execution_id = await stage.accept(line(node("a", "pass")), timeout=60_000)
    await ask(stage, execution_id, "pause")
    over = workflow_executions.update().values(claimAt=1, deadlineAt=1)
    await stage.database.write(lambda c: c.execute(over) and None)
    async with stage.worker():
        row = await stage.ended(execution_id)
    assert (row["status"], row["reason"]) == ("failed", "timeout")
    assert stage.calls.inputs == {}


async def test_pauses_and_resumes_at_random_end_well(stage: Stage) -> None:
    nodes = [node(f"n{number}", "effect", value=number) for number in range(60)]
    execution_id = await stage.accept(line(*nodes))

    async def meddle(verb: str) -> None:
        for _ in range(25):
            try:
                await ask(stage, execution_id, verb)
            except Exception as error:  # refused: that depends on who came first
                assert type(error).__name__ in {"NotWaiting", "AlreadyFinished"}  # noqa: PT017
            await asyncio.sleep(0.002)

    async with stage.worker():
        await asyncio.gather(meddle("pause"), meddle("resume"))
        if (await stage.find(execution_id))["status"] != "completed":
            await ask(stage, execution_id, "pause")
            await ask(stage, execution_id, "resume")
        row = await stage.ended(execution_id)
    assert row["status"] == "completed"
    assert set(stage.calls.counts.values()) == {1}
