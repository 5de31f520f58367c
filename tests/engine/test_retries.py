"""Going on from an execution: what is finished stays, the rest runs, in an execution of its own."""

import secrets
from functools import partial
from typing import Any

import pytest

from core.reuse import reusable
from store import executions, retries
from store.new_execution import NewExecution
from store.payloads import decode
from tests.engine.stage import Stage, line
from tests.strategies.graphs import document, edge, node

BOTH = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)


async def go_on(
    stage: Stage, execution_id: str, graph: dict[str, Any], again: tuple[str, ...] = ()
) -> str:
    """Accept an execution that goes on from another one; return its id."""
    original = await stage.database.read(partial(retries.original, execution_id=execution_id))
    plan = stage.compile(graph)
    new = NewExecution(
        id=secrets.token_hex(8),
        workflow_id=original.row["workflowId"],
        workflow_name="A workflow",
        organization_id="org",
        version=1,
        nodes=tuple(plan.nodes),
        inputs=original.row["inputs"],
        retry_of=execution_id,
    )
    kept = reusable(plan, original.ports, again)
    await stage.database.write(partial(retries.go_on, new=new, kept=kept))
    stage.accepted.append(new.id)
    return new.id


@BOTH
async def test_only_what_failed_and_what_follows_runs_again(stage: Stage) -> None:
    # R004-06, R004-29, C16
    large = {"text": "x" * 100_000}
    graph = document(
        [
            node("t", "trigger"),
            node("a", "effect", value=large),
            node("h", "flaky", times=9, code="x", retry=1, onError="continue"),
            node("f", "flaky", times=1, retry=1),
            node("end", "script"),
        ],
        edge("t", "a"),
        edge("t", "h"),
        edge("a", "f"),
        edge("h", "f"),
        edge("f", "end"),
    )
    async with stage.worker():
        first = await stage.run(graph)
        assert first["status"] == "failed"
        stage.calls.counts.clear()
        stage.calls.inputs["f"].clear()
        again = await go_on(stage, first["id"], graph)
        row = await stage.ended(again)  # f fails the first time in every execution
    told = [name for _, name, _ in await stage.events(again, "node.reused")]
    assert told == ["t", "a", "h"]
    assert {name for _, name in stage.calls.counts} == {"f"}
    assert stage.calls.inputs["f"][0]["text"] == large["text"]
    assert (row["retryOf"], (await stage.find(first["id"]))["retriedBy"]) == (first["id"], again)
    assert (row["completedNodes"], row["failedNodes"]) == (2, 2)
    assert (row["status"], row["reason"]) == ("failed", "node_failed")


@BOTH
async def test_from_a_node_of_a_completed_execution(stage: Stage) -> None:
    graph = line(node("a", "effect", value=1), node("b", "script"), node("c", "pass"))
    async with stage.worker():
        first = await stage.run(graph)
        row = await stage.ended(await go_on(stage, first["id"], graph, ("b",)))
    assert (row["status"], row["epoch"], row["seq"]) == ("completed", 1, 8)
    assert decode(row["finalOutput"]) == decode(first["finalOutput"])
    assert stage.calls.attempts == {"a": [1], "b": [1, 1], "c": [1, 1]}
    results = decode(row["nodeResults"])
    assert results["a"] == {"success": True, "outputData": 1}


async def test_everything_kept_ends_at_once(stage: Stage) -> None:
    graph = line(node("a", "effect", value=[1]), node("b", "pass"))
    async with stage.worker():
        first = await stage.run(graph)
        row = await stage.ended(await go_on(stage, first["id"], graph))
    assert (row["status"], decode(row["finalOutput"])) == ("completed", [1])
    assert stage.calls.attempts == {"a": [1], "b": [1]}


async def test_ports_and_their_own_values_are_kept(stage: Stage) -> None:
    graph = document(
        [
            node("s", "splitColumns", columnsOutputA=["a"], columnsOutputB=["b"]),
            node("x", "pass"),
            node("y", "pass"),
        ],
        edge("s", "x", "A"),
        edge("s", "y", "B"),
    )
    async with stage.worker():
        first = await stage.run(graph, inputs={"s": {"a": 1, "b": 2}})
        again = await go_on(stage, first["id"], graph, ("x", "y"))
        await stage.ended(again)
    assert stage.calls.inputs == {"x": [{"a": 1}] * 2, "y": [{"b": 2}] * 2}
    runs = await stage.database.read(partial(executions.stored_node_runs, execution_id=again))
    assert {run.node_id: run.ports for run in runs}["s"] == ("A", "B")


async def test_a_branch_that_was_not_taken_stays_so(stage: Stage) -> None:
    graph = document(
        [
            node("s", "script", ports=["l", "r"], choose=["l"]),
            node("x", "pass"),
            node("y", "pass"),
            node("z", "pass"),
        ],
        edge("s", "x", "l"),
        edge("s", "y", "r"),
        edge("x", "z"),
        edge("y", "z"),
    )
    async with stage.worker():
        first = await stage.run(graph)
        row = await stage.ended(await go_on(stage, first["id"], graph, ("z",)))
    assert (row["status"], row["skippedNodes"], row["settledNodes"]) == ("completed", 1, 4)
    assert {name: len(found) for name, found in stage.calls.inputs.items()} == {
        "s": 1,
        "x": 1,
        "z": 2,
    }
