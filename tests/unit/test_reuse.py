"""Which results a repeated execution keeps."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.graph import compile_document
from core.plan import Edge, Plan, PlanNode
from core.reuse import changed_nodes, reusable
from tasks.load import load_node_types
from tests.strategies.graphs import document, edge, node

CATALOGUE = load_node_types().catalogue()


def plan(*edges: tuple[str, str, str], nodes: str = "") -> Plan:
    """Return a plan of these edges (source, port, target)."""
    names = dict.fromkeys([*nodes, *(name for a, _, b in edges for name in (a, b))])
    order = tuple(sorted(names))
    found = {name: PlanNode(name, "addField", name, {}) for name in order}
    return Plan(found, tuple(Edge(*one) for one in edges), order)


DIAMOND = plan(("a", "out", "b"), ("a", "out", "c"), ("b", "out", "d"), ("c", "out", "d"))
BRANCH = plan(("a", "true", "b"), ("a", "false", "c"), ("b", "out", "d"), ("c", "out", "d"))
OUT = ("out",)


@pytest.mark.parametrize(
    ("graph", "ports", "again", "kept"),
    [
        (DIAMOND, dict.fromkeys("abcd", OUT), "", "abcd"),
        (DIAMOND, dict.fromkeys("abcd", OUT), "b", "ac"),
        (DIAMOND, dict.fromkeys("abcd", OUT), "a", ""),
        (DIAMOND, dict.fromkeys("abc", OUT), "", "abc"),
        (DIAMOND, dict.fromkeys("ac", OUT), "", "ac"),
        (DIAMOND, dict.fromkeys("acd", OUT), "", "acd"),  # d did not wait for b
        (BRANCH, {"a": ("true",), "b": OUT, "d": OUT}, "", "abd"),
        (BRANCH, {"a": ("true",), "b": OUT, "d": OUT}, "c", "ab"),  # c could feed d now
        (BRANCH, {"a": ("true",), "b": OUT, "c": OUT}, "", "ab"),  # nothing flowed into c
    ],
)
def test_what_is_kept(
    graph: Plan, ports: dict[str, tuple[str, ...]], again: str, kept: str
) -> None:
    # R004-06, C16
    assert "".join(reusable(graph, ports, again)) == kept


@st.composite
def cases(draw: st.DrawFn) -> tuple[Plan, dict[str, tuple[str, ...]], set[str]]:
    names = "abcdefgh"
    pairs = [(a, b) for a in names for b in names if a < b]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=14))
    graph = plan(*((a, draw(st.sampled_from("xy")), b) for a, b in chosen), nodes=names)
    finished = draw(st.sets(st.sampled_from(names)))
    ports = {name: tuple(draw(st.sets(st.sampled_from("xy"), min_size=1))) for name in finished}
    return graph, ports, draw(st.sets(st.sampled_from(names), max_size=2))


@given(cases())
@settings(max_examples=150, deadline=None)
def test_a_kept_node_has_all_that_flowed_into_it(
    case: tuple[Plan, dict[str, tuple[str, ...]], set[str]],
) -> None:
    graph, ports, again = case
    kept = reusable(graph, ports, again)
    for name in kept:
        incoming = graph.incoming[name]
        live = [one.source for one in incoming if one.port in ports.get(one.source, ())]
        assert name in ports
        assert name not in again
        assert set(live) <= set(kept[: kept.index(name)])
        assert live or not incoming
    fewer = reusable(graph, ports, again | {"a"})
    assert set(fewer) <= set(kept)


def compiled(*nodes: dict[str, Any], edges: str = "ab bc") -> Plan:
    found = document(list(nodes), *(edge(*pair) for pair in edges.split()))
    result = compile_document(found, CATALOGUE)
    assert result.plan is not None, result.errors
    return result.plan


A, B, C = (node(name, "manualInput", inputVarName=name) for name in "abc")


@pytest.mark.parametrize(
    ("after", "changed"),
    [
        (compiled(A, B, C), ""),
        (compiled({**A, "x": 9, "label": "Renamed"}, B, C), ""),
        (compiled(A, {**B, "config": {**B["config"], "inputVarValue": 1}}, C), "b"),
        (compiled(A, {**B, "config": {**B["config"], "timeout": 3}}, C), "b"),
        (compiled(A, node("b", "addField", fieldName="x"), C), "b"),
        (compiled(A, B, C, edges="ab ac"), "c"),
        (compiled(A, B, C, node("d", "output"), edges="ab bc cd"), "d"),
        (compiled(A, C, edges="ac"), "c"),
    ],
)
def test_what_counts_as_changed(after: Plan, changed: str) -> None:
    assert "".join(sorted(changed_nodes(compiled(A, B, C), after))) == changed


def test_a_number_is_not_a_truth_value() -> None:
    one, true = (
        compiled(node("a", "manualInput", inputVarValue=value), edges="") for value in (1, True)
    )
    assert changed_nodes(one, true) == {"a"}
