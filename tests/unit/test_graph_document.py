"""The shape of a document: each mistake is reported with its code and pointer, all at once."""

import math
from typing import Any

import pytest

from core.graph import Compiled, Limits, compile_document
from tests.strategies.graphs import CATALOGUE, document, edge, node


def found(value: Any, **limits: int) -> set[tuple[str, str]]:
    compiled = compile_document(value, CATALOGUE, Limits(**limits))
    return {(problem.code, problem.pointer) for problem in compiled.errors}


def compiled_node(**fields: Any) -> Compiled:
    return compile_document(document([node("a") | fields]), CATALOGUE)


@pytest.mark.parametrize("value", [None, [], "x", 3, True, math.nan])  # B019
def test_a_document_is_an_object(value: Any) -> None:
    assert found(value) == {("type_object_expected", "")}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({}, "required"),  # B041
        ({"nodes": []}, "graph_empty"),  # B042
        ({"nodes": {}}, "type_array_expected"),  # B043
        ({"nodes": "x"}, "type_array_expected"),  # B043
        ({"nodes": None}, "type_array_expected"),  # B043
    ],
)
def test_nodes_are_a_list_that_is_not_empty(value: Any, code: str) -> None:
    assert found(value) == {(code, "/nodes")}


@pytest.mark.parametrize("value", [None, 3, "x", [], True])  # B044
def test_a_node_is_an_object(value: Any) -> None:
    assert found(document([node("a"), value])) == {("type_object_expected", "/nodes/1")}


@pytest.mark.parametrize(
    ("node_id", "code"),
    [
        (1, "type_string_expected"),  # B046
        (1.5, "type_string_expected"),  # B046
        (True, "type_string_expected"),  # B046
        (None, "type_string_expected"),  # B046
        ({}, "type_string_expected"),  # B046
        ([], "type_string_expected"),  # B046
        *[(value, "id_empty") for value in ("", "   ", "\t")],  # B047
        ("a" * 129, "id_too_long"),  # B048
        *[(value, "id_chars") for value in ("a/b", "..", ".", "a\\b", "a:b", "a\0b")],  # B049
        *[
            (value, "id_chars") for value in ("a\nb", "a\u202eb", "a\u200bb", " a", "\ud800")
        ],  # B049
    ],
)
def test_an_id_is_plain_text(node_id: Any, code: str) -> None:
    assert found(document([node("a"), node("b") | {"id": node_id}])) == {(code, "/nodes/1/id")}


@pytest.mark.parametrize(
    "node_id",
    [
        "a" * 128,
        "__proto__",
        "constructor",
        "__class__",
        "self",
        "none",
        "nodo é 1",
        "节点",
    ],  # B052
)
def test_an_id_is_never_special(node_id: str) -> None:
    plan = compile_document(document([node(node_id)]), CATALOGUE).plan
    assert plan is not None
    assert list(plan.nodes) == [node_id]


def test_a_node_needs_an_id_and_a_type() -> None:  # B045, B053
    assert found(document([{}])) == {("required", "/nodes/0/id"), ("required", "/nodes/0/type")}


def test_duplicate_ids_are_reported_at_every_node() -> None:  # B050
    nodes = [node("a"), node("b"), node("a")]
    assert found(document(nodes)) == {
        ("node_id_duplicate", "/nodes/0/id"),
        ("node_id_duplicate", "/nodes/2/id"),
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [("node", "NODE"), ("caf\u00e9", "cafe\u0301"), ("STRASSE", "stra\u00dfe")],  # B051
)
def test_ids_that_look_alike_are_refused(one: str, other: str) -> None:
    assert found(document([node(one), node("b"), node(other)])) == {
        ("node_id_confusable", "/nodes/0/id"),
        ("node_id_confusable", "/nodes/2/id"),
    }


@pytest.mark.parametrize("kind", [None, 3, True, [], {}])  # B053
def test_a_type_is_a_string(kind: Any) -> None:
    assert found(document([node("a") | {"type": kind}])) == {
        ("type_string_expected", "/nodes/0/type")
    }


@pytest.mark.parametrize(
    ("kind", "near"),
    [
        ("conditon", "condition"),  # B054
        ("HTTP ", "http"),  # B055
        ("addfield", "addField"),  # B055
        ("teleport", None),  # B054
    ],
)
def test_an_unknown_type_is_refused_with_the_nearest(kind: str, near: str | None) -> None:
    (problem,) = compiled_node(type=kind).errors
    assert (problem.code, problem.pointer, problem.node_id) == (
        "node_type_unknown",
        "/nodes/0/type",
        "a",
    )
    assert (f'did you mean "{near}"' in problem.message) == (near is not None)


def test_lenient_lets_an_unknown_type_pass_its_input_through() -> None:  # B054
    graph = document(
        [node("a"), node("b", "teleport", text="{{ a"), node("c")],
        edge("a", "b", None, "X"),
        edge("b", "c", "somewhere"),
    )
    compiled = compile_document(graph, CATALOGUE, lenient=True)
    assert [problem.code for problem in compiled.problems] == ["node_type_unknown"]
    assert compiled.plan is not None
    assert compiled.plan.nodes["b"].type == "teleport"
    assert [(e.source, e.port, e.target) for e in compiled.plan.edges] == [
        ("a", "out", "b"),
        ("b", "out", "c"),
    ]


def test_lenient_does_not_accept_an_empty_type() -> None:
    compiled = compile_document(document([node("a", " ")]), CATALOGUE, lenient=True)
    assert [problem.code for problem in compiled.errors] == ["node_type_unknown"]


@pytest.mark.parametrize("name", ["tenant_id", "epoch", "owner", "nonsense"])  # B056, B057
def test_an_unknown_field_is_refused(name: str) -> None:
    graph = document([node("a") | {name: 1}, node("b")], edge("a", "b") | {name: 1}, **{name: 1})
    assert found(graph) == {
        ("field_unknown", f"/{name}"),
        ("field_unknown", f"/nodes/0/{name}"),
        ("field_unknown", f"/connections/0/{name}"),
    }


def test_what_front_ends_save_beside_a_node_is_ignored() -> None:  # B057, B064
    saved = {
        "status": "running",
        "executionResult": {"a": math.nan},
        "data": [1],
        "inputData": 1,
        "inputDataA": [],
        "inputDataB": [],
        "outputData": "x" * 1000,
        "conditionResult": False,
        "x": math.nan,
        "y": 1e300,
        "selected": True,
    }
    assert compiled_node(**saved).problems == ()


def test_ignored_fields_are_capped_too() -> None:  # B064
    assert found(document([node("a") | {"ui": {"c": "x" * 11}}]), max_string=10) == {
        ("string_too_long", "/nodes/0/ui/c")
    }


@pytest.mark.parametrize("version", [999, "1", None, 1.0, True, 0])  # B059
def test_an_unknown_version_is_refused(version: Any) -> None:
    assert found(document([node("a")], version=version)) == {("version_unsupported", "/version")}


def test_the_present_version_is_accepted() -> None:  # B059
    assert found(document([node("a")], version=1)) == set()


def test_a_label_or_name_has_at_most_200_characters() -> None:  # B060
    long = "a" * 201
    graph = document([node("a") | {"label": long}, node("b", customName=long)], name=long)
    assert found(graph) == {
        ("too_long", "/name"),
        ("too_long", "/nodes/0/label"),
        ("too_long", "/nodes/1/config/customName"),
    }


def test_a_document_over_a_limit_is_not_read_further() -> None:  # B061, B062
    graph = document([{}] * 6, *[{}] * 8)
    assert found(graph, max_nodes=5, max_edges=7) == {
        ("graph_too_many_nodes", "/nodes"),
        ("graph_too_many_edges", "/connections"),
    }
    (problem, _) = compile_document(graph, CATALOGUE, Limits(5, 7)).errors
    assert "5" in problem.message


def test_every_problem_is_reported_at_once_and_in_order() -> None:
    graph = document(
        [node("a") | {"x_y": 1}, node("b", "nope"), node("c", retry=0), node("c")],
        edge("a", "z"),
        edge("b", "b"),
    )
    compiled = compile_document(graph, CATALOGUE)
    assert [(p.code, p.pointer) for p in compiled.errors] == [
        ("field_unknown", "/nodes/0/x_y"),
        ("node_id_duplicate", "/nodes/2/id"),
        ("node_id_duplicate", "/nodes/3/id"),
        ("node_type_unknown", "/nodes/1/type"),
        ("number_range", "/nodes/2/config/retry"),
        ("edge_target_unknown", "/connections/0/toNodeId"),
        ("edge_self", "/connections/1"),
    ]
    assert compiled.plan is None


def test_problems_are_cut_at_the_limit() -> None:
    compiled = compile_document(document([3] * 150), CATALOGUE)
    assert len(compiled.problems) == 100
    assert compiled.truncated
    assert not compile_document(document([3] * 100), CATALOGUE).truncated


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_warnings_never_hide_an_error(limit: int) -> None:
    graph = document([node(f"n{i}") for i in range(5)], edge("n1", "n9"))
    compiled = compile_document(graph, CATALOGUE, Limits(max_problems=limit))
    assert compiled.plan is None
    assert compiled.truncated
    assert [p.code for p in compiled.problems[:1]] == ["edge_target_unknown"][:limit]


def test_a_message_quotes_at_most_64_characters_and_nothing_unseen() -> None:
    graph = document([node("a") | {"id": "\u202e/" + "q" * 100, "type": "r" * 100}])
    for problem in compile_document(graph, CATALOGUE).errors:
        assert "\u202e" not in problem.message
        assert "q" * 64 not in problem.message
        assert "r" * 65 not in problem.message
