"""What an execution comes to, and how long a walk through a large graph takes."""

import time
from typing import Any

import pytest

from core.plan import Edge, Plan, PlanNode
from core.walk import NodeResult, Walk, execution_result, ports_of
from tests.strategies.graphs import Document, chain, complete, diamonds, document
from tests.strategies.graphs import edge as connection
from tests.strategies.graphs import node as vertex
from tests.unit.test_walk import OUT, edges, run


def labelled(*labels: str, kind: str = "step", text: str = "") -> Plan:
    """Return a plan of nodes `n0`, `n1`, …, or of those before a colon, with these labels."""
    pairs = [
        label.split(":") if ":" in label else (f"n{n}", label) for n, label in enumerate(labels)
    ]
    nodes = {name: PlanNode(name, kind, label, {}) for name, label in pairs}
    return Plan(nodes, edges(text), tuple(nodes))


@pytest.mark.parametrize(
    ("plan", "results", "expected"),
    [
        (labelled("One"), [5], 5),
        (labelled("One"), [None], None),
        (labelled("One", "Two"), [0, False], {"One": 0, "Two": False}),
        (labelled("Same", "Same"), [1, 2], {"Same": 1, "n1": 2}),
        (labelled("a:b", "b:b"), [1, 2], {"b": 1, "b 2": 2}),
        (labelled("a:b", "b:b", "b 2:b"), [1, 2, 3], {"b": 1, "b 2": 2, "b 3": 3}),
        (labelled("One", "Two", text="n0>n1"), [1, 2], 2),
    ],
)
def test_the_result_of_the_whole(plan: Plan, results: list[Any], expected: Any) -> None:
    found = {n: NodeResult(value, OUT) for n, value in zip(plan.nodes, results, strict=True)}
    assert execution_result(plan, found, lambda _: False) == expected
    if not plan.edges:  # then every node is a leaf
        assert execution_result(plan, found, lambda _: True) == expected


def test_output_nodes_decide_over_leaves_and_skipped_ones_do_not() -> None:
    nodes = {
        n: PlanNode(n, k, n.upper(), {}) for n, k in [("a", "x"), ("o", "output"), ("p", "output")]
    }
    plan = Plan(nodes, (), tuple(nodes))
    results = {"a": NodeResult(1, OUT), "o": NodeResult(2, OUT), "p": NodeResult()}
    assert execution_result(plan, results, lambda kind: kind == "output") == 2
    results["o"] = NodeResult()
    assert execution_result(plan, results, lambda kind: kind == "output") is None


def test_ports_come_once_each_in_order() -> None:
    assert ports_of(edges("a.y>b a.x>c a.y>d")) == ("y", "x")


BIG: list[tuple[str, Document]] = [
    ("B087 a chain of 10,000", chain(10_000)),
    ("B088 2 ** 2,500 paths", diamonds(2_500)),
    ("B089 all of 300 nodes connected", complete(300)),
    (
        "a fan of 5,000",
        document(
            [vertex("r"), *(vertex(f"f{i}") for i in range(5_000)), vertex("z")],
            *(connection("r", f"f{i}") for i in range(5_000)),
            *(connection(f"f{i}", "z") for i in range(5_000)),
        ),
    ),
]


@pytest.mark.parametrize("graph", [graph for _, graph in BIG], ids=[name for name, _ in BIG])
@pytest.mark.parametrize("ports", [OUT, ()], ids=["all run", "all but the first are skipped"])
def test_large_graphs_are_walked_in_linear_time(graph: Document, ports: tuple[str, ...]) -> None:
    plan = big_plan(graph)
    walk = Walk(plan)
    began = time.perf_counter()
    first = next(iter(plan.nodes))
    ran = run(walk, {first: ports})
    resumed = Walk(plan).resume(walk.results)
    took = time.perf_counter() - began
    assert walk.finished
    assert len(ran) == (len(plan.nodes) if ports else 1)
    assert (resumed.ready, resumed.skipped) == ([], [])
    assert took < 20e-6 * (len(plan.nodes) + len(plan.edges)) + 0.5


def big_plan(graph: Document) -> Plan:
    """Return the plan of a document that is larger than a service accepts."""
    names = {item["id"]: PlanNode(item["id"], "step", item["id"], {}) for item in graph["nodes"]}
    found = (Edge(c["fromNodeId"], "out", c["toNodeId"]) for c in graph["connections"])
    return Plan(names, tuple(found), tuple(names))
