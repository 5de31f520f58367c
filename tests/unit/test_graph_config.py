"""A node's configuration and a document's settings: what they hold and what is refused."""

import math
from typing import Any

import pytest

from core.graph import Compiled, Limits, compile_document
from core.plan import PlanSettings
from tests.strategies.graphs import CATALOGUE, document, node


def found(value: Any, **limits: int) -> set[tuple[str, str]]:
    compiled = compile_document(value, CATALOGUE, Limits(**limits))
    return {(problem.code, problem.pointer) for problem in compiled.errors}


def compiled_node(**fields: Any) -> Compiled:
    return compile_document(document([node("a") | fields]), CATALOGUE)


@pytest.mark.parametrize("config", [[], "x", 3, False])  # B058
def test_a_config_is_an_object(config: Any) -> None:
    assert found(document([node("a") | {"config": config}])) == {
        ("type_object_expected", "/nodes/0/config")
    }


def test_config_and_connections_may_be_missing_or_null() -> None:  # B058, B065
    assert found({"nodes": [{"id": "a", "type": "addField", "config": None}]}) == set()
    assert found({"nodes": [{"id": "a", "type": "addField"}], "connections": None}) == set()


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"label": "👩‍👩‍👧 \u202eabc"}, "👩‍👩‍👧 \u202eabc"),  # B060
        ({"label": "L", "config": {"customName": "C"}}, "C"),
        ({"label": "L", "config": {"customName": ""}}, "L"),
        ({"label": "L", "config": {"customName": None}}, "L"),
        ({"label": None}, "addField"),
        ({"label": " "}, "addField"),
    ],
)
def test_a_label_comes_from_the_custom_name_the_label_or_the_type(
    fields: dict[str, Any], label: str
) -> None:
    plan = compiled_node(**fields).plan
    assert plan is not None
    assert plan.nodes["a"].label == label


def test_a_label_is_a_string() -> None:
    assert found(document([node("a") | {"label": 3}])) == {
        ("type_string_expected", "/nodes/0/label")
    }


def test_strings_of_a_config_have_a_limit() -> None:  # B063
    graph = document([node("a", deep=[{"text": "x" * 11}], fine="x" * 10)])
    assert found(graph, max_string=10) == {("string_too_long", "/nodes/0/config/deep/0/text")}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("a\0", "string_nul"),  # B010
        ("\ud800", "string_invalid_unicode"),  # B009
        ({"\udfff": 1}, "string_invalid_unicode"),  # B009
        (math.inf, "json_nonfinite"),  # B012
        (math.nan, "json_nonfinite"),  # B012
    ],
)
def test_a_config_holds_only_what_can_be_stored(value: Any, code: str) -> None:
    assert found(document([node("a", value=value)])) == {(code, "/nodes/0/config/value")}


def test_a_config_nested_too_deep_is_refused() -> None:  # B018
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    codes = {code for code, _ in found(document([node("a", value=value)]))}
    assert codes == {"json_too_deep"}


def test_problems_of_a_config_point_into_the_node() -> None:  # R003-17
    (problem,) = compile_document(document([node("b"), node("a", "http")]), CATALOGUE).errors
    assert (problem.code, problem.pointer, problem.node_id) == (
        "required",
        "/nodes/1/config/httpUrl",
        "a",
    )


def test_a_bad_template_points_to_its_string_unless_the_key_is_verbatim() -> None:  # B115
    graph = document([node("a", text="{{ a "), node("b", "python", code="{{ a ")])
    assert found(graph) == {("template_syntax", "/nodes/0/config/text")}


def test_what_never_runs_may_hold_half_a_configuration() -> None:
    graph = document([node("a", "http", disabled=True), node("c", "comment", text="{{ a ")])
    assert found(graph) == set()


def test_settings_are_read() -> None:
    settings = {"maxParallel": 3, "timeout": 60, "orchestrator": "direct", "name": "N"}
    plan = compile_document(document([node("a")], settings=settings), CATALOGUE).plan
    assert plan is not None
    assert plan.settings == PlanSettings(3, 60.0, "direct", "N")


@pytest.mark.parametrize("settings", [None, {}, {"timeout": None, "maxParallel": None}])
def test_settings_may_be_left_out(settings: Any) -> None:
    compiled = compile_document(document([node("a")], settings=settings), CATALOGUE)
    assert compiled.plan is not None
    assert compiled.plan.settings == PlanSettings()


@pytest.mark.parametrize(
    ("settings", "code", "pointer"),
    [
        ([], "type_object_expected", ""),
        ({"maxParallel": 0}, "number_range", "/maxParallel"),
        ({"maxParallel": 1001}, "number_range", "/maxParallel"),
        ({"maxParallel": True}, "type_integer_expected", "/maxParallel"),
        ({"timeout": 0}, "number_range", "/timeout"),
        ({"timeout": "1"}, "type_number_expected", "/timeout"),
        ({"orchestrator": "Prefect"}, "value_unknown", "/orchestrator"),
        ({"name": 3}, "type_string_expected", "/name"),
    ],
)
def test_wrong_settings_are_refused(settings: Any, code: str, pointer: str) -> None:
    assert found(document([node("a")], settings=settings)) == {(code, f"/settings{pointer}")}


def test_an_unknown_setting_is_a_warning() -> None:
    compiled = compile_document(document([node("a")], settings={"theme": "dark"}), CATALOGUE)
    assert compiled.plan is not None
    assert [(p.code, p.pointer) for p in compiled.warnings] == [
        ("field_unknown", "/settings/theme")
    ]
