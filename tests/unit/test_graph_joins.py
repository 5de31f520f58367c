"""Nodes where connections meet: joins, their inputs, and how many a node waits for."""

from typing import Any

import pytest

from core.graph import Compiled, Limits, compile_document
from core.plan import Plan
from tests.strategies.graphs import CATALOGUE, Document, document, edge, node


def compiled(*parts: Document, **limits: int) -> Compiled:
    nodes = [part for part in parts if "id" in part]
    edges = [part for part in parts if "id" not in part]
    return compile_document(document(nodes, *edges), CATALOGUE, Limits(**limits))


def errors(*parts: Document) -> list[tuple[str, str]]:
    return [(problem.code, problem.pointer) for problem in compiled(*parts).errors]


def warnings(*parts: Document) -> list[tuple[str, str | None]]:
    found = compiled(*parts)
    assert found.plan is not None, found.errors
    return [(problem.code, problem.node_id) for problem in found.warnings]


def plan_of(*parts: Document) -> Plan:
    found = compiled(*parts)
    assert found.plan is not None, found.errors
    return found.plan


def edges(*parts: Document) -> list[tuple[str, str, str, str | None]]:
    return [(e.source, e.port, e.target, e.input_port) for e in plan_of(*parts).edges]


A, B, C = node("a"), node("b"), node("c")
IF = node("if", "condition")
JOIN = node("j", "join")


def test_a_join_takes_its_inputs_by_name() -> None:  # R003-21
    parts = (A, B, JOIN, edge("a", "j", None, "B"), edge("b", "j", None, "A"))
    assert edges(*parts) == [("a", "out", "j", "B"), ("b", "out", "j", "A")]
    assert warnings(*parts) == []


def test_a_join_without_names_takes_the_free_inputs_in_order() -> None:
    parts = (A, B, JOIN, edge("a", "j"), edge("b", "j", None, "A"))
    assert edges(*parts) == [("a", "out", "j", "B"), ("b", "out", "j", "A")]
    assert warnings(*parts) == [("edge_input_port_assumed", "j")]


def test_a_third_connection_without_a_name_is_refused() -> None:
    parts = (A, B, C, JOIN, edge("a", "j"), edge("b", "j"), edge("c", "j"))
    assert errors(*parts) == [("edge_input_port_missing", "/connections/2")]


def test_an_input_that_is_not_there_is_refused_or_ignored() -> None:
    assert errors(A, JOIN, edge("a", "j", None, "C")) == [
        ("edge_input_port_unknown", "/connections/0/inputPort")
    ]
    assert warnings(A, B, edge("a", "b", None, "A")) == [("edge_input_port_ignored", "b")]
    assert edges(A, B, edge("a", "b", None, "A")) == [("a", "out", "b", None)]


def test_a_join_needs_something_to_join() -> None:  # B085
    assert errors(A, JOIN) == [("join_inputs", "/nodes/1")]
    assert warnings(A, JOIN, edge("a", "j", None, "A")) == [("join_inputs", "j")]


def _branches(first: Document, one: str, other: str) -> tuple[Document, ...]:
    name = first["id"]
    return (
        *(first, A, B, JOIN, edge(name, "a", one), edge(name, "b", other)),
        *(edge("a", "j", None, "A"), edge("b", "j", None, "B")),
    )


@pytest.mark.parametrize(
    ("first", "ports", "exclusive"),
    [
        (IF, ("true", "false"), True),  # B086
        (node("a0", onError="route"), ("out", "error"), True),  # B086
        (IF | {"config": {"processingMode": "perRow"}}, ("true", "false"), False),
        (node("s", "splitColumns"), ("A", "B"), False),
        (node("p"), ("out", "out"), False),
    ],
)
def test_a_join_of_exclusive_branches_is_a_warning(
    first: Document, ports: tuple[str, str], exclusive: bool
) -> None:
    found = [code for code, _ in warnings(*_branches(first, *ports))]
    assert ("join_exclusive" in found) == exclusive


def test_exclusive_branches_into_one_input_are_fine() -> None:  # B086
    both = [edge("if", "j", "true", "A"), edge("if", "j", "false", "A")]
    assert warnings(IF, A, JOIN, *both, edge("a", "j", None, "B")) == []


@pytest.mark.parametrize(
    ("wait_for", "expected"), [("any", []), ("all", []), (1, []), (2, []), (3, ["number_range"])]
)
def test_wait_for_is_at_most_the_number_of_connections(wait_for: Any, expected: list[str]) -> None:
    waiting = node("w", waitFor=wait_for)
    found = compiled(A, B, waiting, edge("a", "w"), edge("b", "w"))
    assert [p.code for p in found.errors] == expected
    assert [p.pointer for p in found.errors] == ["/nodes/2/config/waitFor"] * len(expected)
