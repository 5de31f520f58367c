"""Graphs of every shape run as drawn: who runs, with what, and what comes out."""

from typing import Any

import pytest

from store.payloads import decode
from tests.engine.stage import Stage, line
from tests.strategies.graphs import Document, chain, diamonds, document, edge, node
from tests.until import until

BOTH = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)


@BOTH
async def test_a_chain_runs_in_order_and_reports_itself(stage: Stage) -> None:
    # R000-06, R000-09, R000-11, R003-10
    graph = line(node("t", "trigger"), node("a", "value", value={"x": 1}), node("b", "pass"))
    async with stage.worker():
        row = await stage.run(graph, inputs={"t": {"start": True}})
    assert (row["status"], row["reason"], row["finalOutput"]) == ("completed", None, '{"x":1}')
    assert (row["totalNodes"], row["settledNodes"], row["currentNodeId"]) == (3, 3, "b")
    assert stage.calls.inputs == {"a": [{"start": True}], "b": [{"x": 1}]}
    kinds = [kind for kind, _, _ in await stage.events(row["id"])]
    assert kinds == [
        "execution.created",
        "execution.started",
        *["node.started", "node.completed"] * 3,
        "execution.completed",
    ]


BRANCHES = document(
    [
        node("in", "manualInput", variableName="age", variableValue=5),
        node("if", "condition", conditionField="age", conditionOperator=">", conditionValue=17),
        node("yes", "value", value="adult"),
        node("after", "pass"),
        node("no", "value", value="child"),
        node("end", "output"),
    ],
    edge("in", "if"),
    edge("if", "yes", "true"),
    edge("yes", "after"),
    edge("if", "no", "false"),
    edge("after", "end"),
    edge("no", "end"),
)


async def test_only_the_chosen_branch_of_a_condition_runs(stage: Stage) -> None:
    # defect 1: all branches ran; defect 3: progress never came to 100 %
    graph = document([*BRANCHES["nodes"], node("note", "comment")], *BRANCHES["connections"])
    async with stage.worker():
        row = await stage.run(graph, inputs={"in": {"age": 7}})
    assert decode(row["finalOutput"]) == "child"
    assert set(stage.calls.inputs) == {"no"}
    statuses = await stage.nodes(row["id"])
    # defect 9: comments were run and counted
    assert {name for name, status in statuses.items() if status == "skipped"} == {"yes", "after"}
    assert "note" not in statuses
    counters = ("totalNodes", "settledNodes", "completedNodes", "skippedNodes", "failedNodes")
    assert [row[name] for name in counters] == [6, 6, 4, 2, 0]


async def test_a_join_runs_once_with_both_sides(stage: Stage) -> None:
    # defect 8: once per path, each time with one side; defect 7: the sides' names were not read
    graph = document(
        [
            node("t", "trigger"),
            node("left", "value", value=[{"id": 1, "a": "x"}]),
            node("right", "value", value=[{"id": 1, "b": "y"}]),
            node("j", "join", joinStrategy="mergeByKey", joinKey="id"),
            node("end", "pass"),
        ],
        edge("t", "left"),
        edge("t", "right"),
        edge("right", "j", None, "B"),
        edge("left", "j", None, "A"),
        edge("j", "end"),
    )
    async with stage.worker():
        row = await stage.run(graph)
    assert row["status"] == "completed", row["error"]
    assert decode(row["finalOutput"]) == [{"id": 1, "a": "x", "b": "y"}]
    started = [name for _, name, _ in await stage.events(row["id"], "node.started")]
    assert started.count("j") == 1
    assert stage.calls.inputs["end"] == [[{"id": 1, "a": "x", "b": "y"}]]


async def test_inputs_go_to_the_nodes_that_they_name(stage: Stage) -> None:
    # defect 4: the first layer got the whole object
    graph = document([node("a", "pass"), node("b", "pass"), node("c", "pass")])
    async with stage.worker():
        row = await stage.run(graph, inputs={"a": {"x": 1}, "b": 0})
    assert stage.calls.inputs == {"a": [{"x": 1}], "b": [0], "c": [None]}
    assert decode(row["finalOutput"]) == {"a": {"x": 1}, "b": 0, "c": None}


async def test_only_the_trigger_that_fired_starts(stage: Stage) -> None:
    graph = document(
        [node("t", "trigger"), node("w", "webhook"), node("a", "pass"), node("b", "pass")],
        edge("t", "a"),
        edge("w", "b"),
    )
    async with stage.worker():
        row = await stage.run(graph, inputs={"w": {"n": 1}})
    assert stage.calls.inputs == {"b": [{"n": 1}]}
    assert (row["status"], row["skippedNodes"], row["settledNodes"]) == ("completed", 2, 4)


@pytest.mark.parametrize("value", [0, False, "", [], {}, None, 1.5, "ñ\u2028{{ 7*7 }}"])
async def test_falsy_values_flow_on_as_they_are(stage: Stage, value: Any) -> None:
    # defect 10, S-02: and what flows is never rendered again
    graph = line(node("t", "trigger"), node("a", "pass"), node("b", "pass"), node("o", "output"))
    async with stage.worker():
        row = await stage.run(graph, inputs={"t": value})
    assert decode(row["finalOutput"]) == value
    assert stage.calls.inputs == {"a": [value], "b": [value]}
    assert type(stage.calls.inputs["b"][0]) is type(value)


@BOTH
async def test_a_large_value_flows_on_whole(stage: Stage) -> None:
    large = {"text": "x" * 300_000}
    graph = line(node("t", "trigger"), node("a", "pass"), node("b", "pass"))
    async with stage.worker():
        row = await stage.run(graph, inputs={"t": large})
    assert stage.calls.inputs["b"] == [large]
    assert decode(row["finalOutput"]) == large
    (*_, (_, _, data)) = await stage.events(row["id"], "node.completed")
    assert (data["refs"], data["output"]["truncated"]) == (["output"], True)


async def test_wait_for_any_starts_before_the_slow_side(stage: Stage) -> None:
    graph = document(
        [
            node("t", "trigger"),
            node("slow", "gate"),
            node("quick", "value", value="quick"),
            node("first", "pass", waitFor="any"),
        ],
        edge("t", "slow"),
        edge("t", "quick"),
        edge("slow", "first"),
        edge("quick", "first"),
    )
    async with stage.worker():
        execution_id = await stage.accept(graph)

        await stage.running("slow")

        async def first_ran() -> bool:
            return stage.calls.inputs["first"] == ["quick"]

        await until(first_ran, "the node that waits for any")
        stage.calls.gates["gate"].set()
        row = await stage.ended(execution_id)
    assert (row["status"], stage.calls.inputs["first"]) == ("completed", ["quick"])


async def test_no_more_nodes_at_once_than_allowed(stage: Stage) -> None:
    # R000-07: one at a time where that is asked for
    fan = [node(f"g{number}", "gate") for number in range(6)]
    graph = document([node("t", "trigger"), *fan], *(edge("t", item["id"]) for item in fan))
    async with stage.worker():
        execution_id = await stage.accept(graph, max_parallel=2)
        await stage.running("g0", "g1")
        assert len(stage.calls.running) == 2
        stage.calls.gates["gate"].set()
        await stage.ended(execution_id)
    assert stage.calls.most_at_once == 2


@pytest.mark.parametrize(
    ("graph", "nodes"),
    [(chain(400), 400), (diamonds(40), 121), (document([node("note", "comment")]), 0)],
    ids=["a long chain", "2 ** 40 paths", "nothing to run"],
)
async def test_graphs_that_overwhelm_a_naive_walk(
    stage: Stage, graph: Document, nodes: int
) -> None:
    # B087, B088: each node runs once
    for item in graph["nodes"]:
        item["config"] = {} if item["type"] == "comment" else {"value": 1}
        item["type"] = {"addField": "value"}.get(item["type"], item["type"])
    async with stage.worker():
        row = await stage.run(graph)
    assert (row["status"], row["completedNodes"]) == ("completed", nodes)
    assert set(map(len, stage.calls.inputs.values())) <= {1}


async def test_a_type_that_is_not_known_passes_its_input_on(stage: Stage) -> None:
    graph = line(node("t", "trigger"), node("x", "value", value=3), node("b", "pass"))
    text = str(graph).replace("'", '"').replace('"value", "label"', '"teleport", "label"')
    async with stage.worker(lenient_node_types=True):
        row = await stage.run(text, inputs={"t": {"n": 1}}, nodes=("t", "x", "b"))
    assert (row["status"], decode(row["finalOutput"])) == ("completed", {"n": 1})
