"""The rules of a graph: its connections, ports, triggers, joins, disabled nodes and references."""

from typing import Any

import pytest

from core.catalogue import NodeSpec
from core.graph import Compiled, Limits, compile_document, fired_trigger
from core.plan import Plan
from tests.strategies.graphs import CATALOGUE, Document, document, edge, node, ring


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


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (edge("x", "a"), [("edge_source_unknown", "/connections/0/fromNodeId")]),  # B066
        (edge("a", "x"), [("edge_target_unknown", "/connections/0/toNodeId")]),  # B067
        (
            {"fromNodeId": 1, "toNodeId": None},  # B068
            [
                ("type_string_expected", "/connections/0/fromNodeId"),
                ("type_string_expected", "/connections/0/toNodeId"),
            ],
        ),
        (
            {},  # B068
            [
                ("required", "/connections/0/fromNodeId"),
                ("required", "/connections/0/toNodeId"),
            ],
        ),
        (edge("a", "a"), [("edge_self", "/connections/0")]),  # B069
        (edge("a", "b", "true"), [("edge_handle_unknown", "/connections/0/outputType")]),  # B075
        (
            edge("a", "b") | {"outputType": 1},  # B075
            [("type_string_expected", "/connections/0/outputType")],
        ),
    ],
)
def test_a_connection_needs_two_nodes(
    connection: Document, expected: list[tuple[str, str]]
) -> None:
    assert errors(A, B, connection) == expected


def test_connections_of_a_node_with_a_bad_id_are_not_reported_again() -> None:
    assert errors(A, node("x/y"), edge("a", "x/y")) == [("id_chars", "/nodes/1/id")]


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ((IF, B, edge("if", "b", "yes")), "edge_handle_unknown"),
        ((JOIN, edge("x", "j", None, "A")), "edge_source_unknown"),
        ((A, JOIN, edge("a", "j", None, "C")), "edge_input_port_unknown"),
    ],
)
def test_a_wrong_connection_is_reported_once(parts: tuple[Document, ...], code: str) -> None:
    assert [problem.code for problem in compiled(*parts).problems] == [code]


def test_a_wrong_connection_twice_is_wrong_twice_and_no_duplicate() -> None:
    codes = [code for code, _ in errors(IF, B, *[edge("if", "b", "yes")] * 2)]
    assert codes == ["edge_handle_unknown"] * 2


def test_the_same_connection_twice_is_refused() -> None:  # B073
    assert errors(A, B, edge("a", "b"), edge("a", "b", "out")) == [
        ("edge_duplicate", "/connections/1")
    ]


def test_parallel_connections_from_different_ports_are_accepted() -> None:  # B074
    both = edges(IF, B, edge("if", "b", "true"), edge("if", "b", "false"))
    assert both == [("if", "true", "b", None), ("if", "false", "b", None)]


def test_both_fields_name_the_source_port() -> None:  # R003-19
    old = {"fromNodeId": "if", "toNodeId": "b", "fromPort": "false", "outputType": None}
    same = edge("if", "c", "true") | {"fromPort": "true"}
    assert edges(IF, B, C, old, same) == [("if", "false", "b", None), ("if", "true", "c", None)]


def test_two_fields_that_differ_are_refused() -> None:
    connection = edge("if", "b", "true") | {"fromPort": "false"}
    assert errors(IF, B, connection) == [("edge_handle_conflict", "/connections/0/fromPort")]


@pytest.mark.parametrize("port", ["True", "TRUE", "yes", "out", " true"])  # B075
def test_ports_are_matched_exactly(port: str) -> None:
    (problem,) = compiled(IF, B, edge("if", "b", port)).errors
    assert (problem.code, problem.node_id) == ("edge_handle_unknown", "if")
    assert '"true", "false"' in problem.message


def test_a_connection_out_of_several_ports_names_one() -> None:  # B075
    assert errors(IF, B, edge("if", "b")) == [("edge_handle_missing", "/connections/0")]


def test_the_error_port_is_there_when_failures_are_routed() -> None:
    routed = node("a", onError="route")
    assert edges(routed, B, C, edge("a", "b"), edge("a", "c", "error")) == [
        ("a", "out", "b", None),
        ("a", "error", "c", None),
    ]
    assert errors(A, B, edge("a", "b", "error")) == [
        ("edge_handle_unknown", "/connections/0/outputType")
    ]


def test_a_condition_may_fan_out_on_one_branch() -> None:  # B084
    parts = (IF, B, C, edge("if", "b", "true"), edge("if", "c", "true"))
    assert warnings(*parts) == [("condition_branch_missing", "if")]


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        ((IF,), '"true", "false"'),  # B083
        ((IF, B, edge("if", "b", "false")), '"true"'),  # B083
        ((node("a", onError="route"), B, edge("a", "b")), '"error"'),
        ((node("a", "splitColumns"), B, edge("a", "b", "A")), '"B"'),
    ],
)
def test_a_missing_branch_is_a_warning(parts: tuple[Document, ...], missing: str) -> None:
    (problem,) = compiled(*parts).problems
    assert (problem.code, problem.severity) == ("condition_branch_missing", "warning")
    assert f"to {missing} of" in problem.message


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ((A, node("t", "trigger"), edge("a", "t")), "trigger_has_input"),  # B076
        ((A, node("t", "webhook"), edge("a", "t")), "trigger_has_input"),  # B076
        ((A, node("e", "end"), edge("e", "a")), "terminal_has_output"),  # B077
    ],
)
def test_triggers_begin_and_terminals_end(parts: tuple[Document, ...], code: str) -> None:
    assert errors(*parts) == [(code, "/connections/0")]


def test_an_output_node_may_lead_on() -> None:  # B077, R003-16
    assert warnings(node("o", "output"), A, edge("o", "a")) == []


def test_no_trigger_is_fine() -> None:  # B078
    assert plan_of(A, B, edge("a", "b")).triggers == ()


def test_two_triggers_are_a_warning_that_names_both() -> None:  # B079
    parts = (node("t1", "trigger"), A, node("t2", "webhook"), edge("t1", "a"), edge("t2", "a"))
    (problem,) = compiled(*parts).problems
    assert (problem.code, problem.severity) == ("trigger_multiple", "warning")
    assert '"t1", "t2"' in problem.message
    assert plan_of(*parts).triggers == ("t1", "t2")


def test_a_trigger_alone_is_accepted() -> None:  # B080
    assert warnings(node("t", "trigger")) == []


def test_a_node_connected_to_nothing_is_a_warning() -> None:  # B081
    assert warnings(A, B, C, edge("a", "b")) == [("node_unreachable", "c")]


@pytest.mark.parametrize(
    ("kinds", "inputs", "fired"),
    [
        ({"a": "schedule", "b": "webhook", "c": "trigger"}, {}, "c"),  # R003-14
        ({"a": "schedule", "b": "webhook"}, {}, "b"),  # R003-22
        ({"a": "schedule"}, {}, "a"),
        ({"a": "trigger", "b": "trigger"}, {}, "a"),
        ({"a": "trigger", "b": "webhook"}, {"b": None}, "b"),
        ({"a": "trigger", "m": "manualInput"}, {"m": 1}, "a"),
        ({"m": "manualInput"}, {"m": 1}, None),
    ],
)
def test_a_manual_start_fires_one_trigger(
    kinds: dict[str, str], inputs: dict[str, Any], fired: str | None
) -> None:
    plan = plan_of(*(node(name, kind) for name, kind in kinds.items()))
    assert fired_trigger(plan, inputs) == fired


def test_a_cycle_is_named() -> None:  # B070
    (problem,) = compiled(A, B, C, edge("c", "a"), edge("a", "b"), edge("b", "a")).errors
    assert (problem.code, problem.node_id) == ("graph_cycle", "a")
    assert '"a" → "b".' in problem.message


def test_each_component_with_a_cycle_is_reported_once() -> None:  # B072, B082
    first, second = ring(3), ring(4)
    other = [{**n, "id": f"m{i}"} for i, n in enumerate(second["nodes"])]
    back = [edge(f"m{i}", f"m{(i + 1) % 4}") for i in range(4)]
    graph = document(
        [*first["nodes"], *other], *first["connections"], *back, edge("n0", "m0"), edge("n0", "z")
    )
    found = [(p.code, p.node_id) for p in compile_document(graph, CATALOGUE).errors]
    assert found == [("edge_target_unknown", None), ("graph_cycle", "n0"), ("graph_cycle", "m0")]


def test_a_wrong_port_does_not_hide_a_cycle() -> None:  # B070
    codes = [code for code, _ in errors(A, B, edge("a", "b", "x"), edge("b", "a"))]
    assert codes == ["edge_handle_unknown", "graph_cycle"]


def test_a_cycle_through_a_comment_is_none() -> None:  # R003-23
    parts = (A, node("x", "comment"), B, edge("a", "x"), edge("x", "a"), edge("a", "b"))
    assert warnings(*parts) == [("edge_to_comment", None)] * 2
    assert list(plan_of(*parts).nodes) == ["a", "b"]


def test_a_type_may_have_an_error_port_of_its_own() -> None:
    own = {"own": NodeSpec("own", ports=lambda _config: ("out", "error"))}
    graph = document([node("a", "own", onError="route"), B], edge("a", "b", "error"))
    (problem,) = compile_document(graph, {**CATALOGUE, **own}).problems
    assert problem.code == "condition_branch_missing"
    assert 'to "out" of' in problem.message
