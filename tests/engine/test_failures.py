"""Failures, retries and time limits."""

import asyncio

import pytest

from store.payloads import decode
from tests.engine.stage import Stage, line
from tests.strategies.graphs import document, edge, node

BOTH = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)


@BOTH
async def test_a_failure_stops_the_execution_and_cuts_off_the_rest(stage: Stage) -> None:
    # R000-16; defect 6: the children of a failed node ran with an empty input
    graph = document(
        [
            node("t", "trigger"),
            node("slow", "gate"),
            node("bad", "flaky", times=9),
            node("after", "pass"),
            node("never", "pass"),
        ],
        edge("t", "slow"),
        edge("t", "bad"),
        edge("bad", "after"),
        edge("slow", "never"),
    )
    async with stage.worker():
        row = await stage.run(graph)
    assert (row["status"], row["reason"]) == ("failed", "node_failed")
    assert row["error"] == 'Node "bad" failed: not yet'
    assert (row["finalOutput"], row["failedNodes"], row["settledNodes"]) == (None, 1, 2)
    assert stage.calls.cut_off == ["slow"]
    assert set(stage.calls.inputs) == {"slow", "bad"}
    assert await stage.nodes(row["id"]) == {
        "t": "completed",
        "bad": "failed",
        "slow": "cancelled",
        "after": "cancelled",
        "never": "cancelled",
    }
    ((_, name, data),) = await stage.events(row["id"], "node.failed")
    assert (name, data["error"]["code"], data["handled"]) == ("bad", "flaky", False)
    ((_, cut, _),) = await stage.events(row["id"], "node.cancelled")
    assert cut == "slow", "readers of the stream must learn that it does not run any more"


async def test_attempts_are_told_and_delayed(stage: Stage) -> None:
    # defect 11: retries never fired; R001-10: attempts count from 1
    retry = {"attempts": 4, "delay": 0.05, "backoff": 2, "jitter": 0}
    graph = line(node("a", "flaky", times=2, retry=retry), node("b", "pass"))
    async with stage.worker():
        began = asyncio.get_running_loop().time()
        row = await stage.run(graph)
        took = asyncio.get_running_loop().time() - began
    assert (row["status"], row["failedNodes"], stage.calls.inputs["b"]) == (
        "completed",
        0,
        ["at last"],
    )
    assert stage.calls.attempts["a"] == [1, 2, 3]
    told = await stage.events(row["id"], "node.retrying")
    assert [(data["attempt"], data["delay"]) for _, _, data in told] == [(1, 50), (2, 100)]
    started = await stage.events(row["id"], "node.started")
    assert [data["attempt"] for _, name, data in started if name == "a"] == [1, 2, 3]
    ((_, _, done),) = [e for e in await stage.events(row["id"], "node.completed") if e[1] == "a"]
    assert done["attempt"] == 3
    assert took >= 0.15


@pytest.mark.parametrize(
    ("config", "attempts"),
    [
        ({"retry": {"attempts": 3, "delay": 0}}, 3),
        ({"retry": {"attempts": 3, "delay": 0}, "retryable": False}, 1),
        ({"retry": {"attempts": 3, "delay": 0, "on": ["other"]}}, 1),
        ({"retry": {"attempts": 2, "delay": 0, "on": ["flaky"]}, "retryable": False}, 2),
        ({}, 1),
    ],
)
async def test_what_is_tried_again(stage: Stage, config: dict[str, object], attempts: int) -> None:
    async with stage.worker():
        row = await stage.run(line(node("a", "flaky", times=9, **config)))
    assert (row["status"], len(stage.calls.attempts["a"])) == ("failed", attempts)


async def test_on_error_continue_lets_an_error_item_flow_on(stage: Stage) -> None:
    graph = line(node("a", "flaky", times=9, onError="continue"), node("b", "pass"))
    async with stage.worker():
        row = await stage.run(graph, inputs={"a": {"n": 1}})
    item = {"error": {"code": "flaky", "message": "not yet"}, "input": {"n": 1}}
    assert (row["status"], decode(row["finalOutput"])) == ("completed", item)
    assert stage.calls.inputs["b"] == [item]
    assert (await stage.nodes(row["id"])) == {"a": "failed", "b": "completed"}
    assert (row["failedNodes"], row["completedNodes"], row["settledNodes"]) == (1, 1, 2)


@pytest.mark.parametrize(("times", "ran"), [(9, "rescue"), (0, "normal")])
async def test_on_error_route_chooses_its_own_port(stage: Stage, times: int, ran: str) -> None:
    graph = document(
        [
            node("a", "flaky", times=times, onError="route"),
            node("normal", "pass"),
            node("rescue", "pass"),
        ],
        edge("a", "normal", "out"),
        edge("a", "rescue", "error"),
    )
    async with stage.worker():
        row = await stage.run(graph)
    assert row["status"] == "completed"
    assert set(stage.calls.inputs) == {"a", ran}
    assert row["skippedNodes"] == 1


async def test_a_node_has_its_time(stage: Stage) -> None:
    # R000-17
    async with stage.worker():
        row = await stage.run(line(node("a", "gate", timeout=0.05), node("b", "pass")))
    assert (row["status"], stage.calls.cut_off) == ("failed", ["a"])
    assert row["error"] == 'Node "a" failed: The node took longer than 0.05 seconds.'
    assert row["reason"] == "node_failed", "only the limit of the whole is the reason timeout"
    ((_, _, data),) = await stage.events(row["id"], "node.failed")
    assert data["error"]["code"] == "timeout"


async def test_an_execution_has_its_time(stage: Stage) -> None:
    # R000-18, R000-27
    async with stage.worker():
        row = await stage.run(line(node("a", "gate"), node("b", "pass")), timeout=1000)
    assert (row["status"], row["reason"], stage.calls.cut_off) == ("failed", "timeout", ["a"])
    assert await stage.nodes(row["id"]) == {"a": "cancelled", "b": "cancelled"}
    ((_, _, data),) = await stage.events(row["id"], "execution.failed")
    assert data["error"]["code"] == "timeout"


async def test_nothing_starts_once_the_time_is_over(stage: Stage) -> None:
    execution_id = await stage.accept(line(node("a", "effect")), timeout=0)
    async with stage.worker():
        row = await stage.ended(execution_id)
    assert (row["status"], row["reason"]) == ("failed", "timeout")
    assert await stage.events(execution_id, "node.started") == []


async def test_the_time_also_runs_while_a_retry_is_awaited(stage: Stage) -> None:
    retry = {"attempts": 3, "delay": 60}
    async with stage.worker():
        row = await stage.run(line(node("a", "flaky", times=9, retry=retry)), timeout=1000)
    assert (row["status"], row["reason"]) == ("failed", "timeout")
    assert len(stage.calls.attempts["a"]) == 1


async def test_an_output_that_is_too_large_fails_the_node(stage: Stage) -> None:
    # B134
    async with stage.worker(max_output_bytes=1024):
        row = await stage.run(line(node("t", "trigger")), inputs={"t": "x" * 2000})
    assert row["status"] == "failed"
    ((_, name, data),) = await stage.events(row["id"], "node.failed")
    assert (name, data["error"]["code"]) == ("t", "payload_too_large")
