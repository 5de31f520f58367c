"""Nodes that transform records: addField, join, splitColumns, action."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from tasks.join import MOST_RECORDS, JoinConfig, join
from tasks.load import load_node_types
from tests.attempts import completed, failed, problems


@pytest.mark.parametrize(
    ("name_key", "value_key"),
    [
        ("fieldName", "fieldValue"),
        ("addFieldName", "addFieldValue"),
        ("conditionField", "conditionValue"),
    ],
)
# R003-20
async def test_a_field_is_added_under_every_alias(name_key: str, value_key: str) -> None:
    config = {name_key: "greeting", value_key: "Hello {{name}}"}
    assert problems("addField", config) == []
    records = [{"name": "Ada"}, {"name": "Bo"}]
    assert (await completed("addField", config, records)).output == [
        {"name": "Ada", "greeting": "Hello Ada"},
        {"name": "Bo", "greeting": "Hello Bo"},
    ]


@pytest.mark.parametrize(
    ("data", "value", "output"),
    [
        ({"a": 1}, "{{ a + 1 }}", {"a": 1, "f": 2}),
        ({"a": 1, "f": 9}, "{{ f }}", {"a": 1, "f": 9}),
        ({}, 0, {"f": 0}),
        ({}, "", {"f": ""}),
        ({}, None, {"f": None}),
        ({}, {"x": ["{{ 1 + 1 }}"]}, {"f": {"x": [2]}}),
        (5, "{{ value * 2 }}", {"value": 5, "f": 10}),
        (None, "x", {"f": "x"}),
        ([], "x", []),
        ([1, {"value": 2}], "{{ value }}", [{"value": 1, "f": 1}, {"value": 2, "f": 2}]),
        # S-02
        ({"a": "{{ 7*7 }}"}, "{{ a }}!", {"a": "{{ 7*7 }}", "f": "{{ 7*7 }}!"}),
    ],
)
# R003-20, defect 10
async def test_a_field_and_its_value(data: Any, value: Any, output: Any) -> None:
    config = {"fieldName": "f", "fieldValue": value}
    assert (await completed("addField", config, data)).output == output


async def test_several_fields_are_set_in_order() -> None:
    rows = [{"name": "b", "value": "{{ a }}1"}, {"name": "c.d", "value": "{{ b }}2"}]
    outcome = await completed("addField", {"fields": rows}, {"a": "0"})
    assert outcome.output == {"a": "0", "b": "01", "c": {"d": "012"}}


async def test_dots_reach_into_objects_and_leave_the_input_alone() -> None:
    data = {"a": {"x": 1}, "n": None}
    config = {"fieldName": "a.b.c", "fieldValue": 1, "fields": [{"name": "n.m", "value": 2}]}
    outcome = await completed("addField", config, data)
    assert outcome.output == {"a": {"x": 1, "b": {"c": 1}}, "n": {"m": 2}}
    assert data == {"a": {"x": 1}, "n": None}


@pytest.mark.parametrize("blocker", [1, "text", [1], False])
async def test_nothing_is_put_inside_a_value_that_is_no_object(blocker: Any) -> None:
    failure = await failed("addField", {"fieldName": "a.b", "fieldValue": 1}, {"a": blocker})
    assert failure.code == "field_path"


BAD_PATHS = ["a..b", ".a", "a.", ".", " ", "a. .b", "__proto__", "a.__class__.b", "constructor"]


@pytest.mark.parametrize("path", [*BAD_PATHS, "a.prototype", ".".join("a" * 17), "x" * 501])
# B120
async def test_paths_that_are_refused(path: str) -> None:
    assert problems("addField", {"fieldName": path}) == [("field_path", "/fieldName")]
    rows = {"fields": [{"name": path, "value": 1}]}
    assert problems("addField", rows) == [("field_path", "/fields/0/name")]
    rendered = await failed("addField", {"fieldName": "{{ p }}", "fieldValue": 1}, {"p": path})
    assert rendered.details["problems"][0]["code"] == "field_path"


@pytest.mark.parametrize("config", [{}, {"fieldName": ""}, {"fieldName": "", "addFieldName": ""}])
# B120
def test_a_field_needs_a_name(config: dict[str, Any]) -> None:
    code = "field_path" if config else "required"
    assert problems("addField", config) == [(code, "/fieldName")]


@pytest.mark.parametrize("name", ["nodes", "inputs", "execution", "workflow", "now", "now.x"])
# B121
def test_names_of_the_service_are_reserved(name: str) -> None:
    assert problems("addField", {"fieldName": name}) == [("field_reserved", "/fieldName")]


# B115
def test_the_template_of_a_value_is_checked_when_it_is_saved() -> None:
    assert problems("addField", {"fieldName": "f", "fieldValue": "{{ a "}) == [
        ("template_syntax", "/fieldValue")
    ]


# R003-21
async def test_a_join_puts_one_list_after_the_other() -> None:
    outcome = await completed("join", {}, {"A": [{"a": 1}], "B": [{"a": 2}, 3]})
    assert outcome.output == [{"a": 1}, {"a": 2}, 3]
    assert outcome.details == {"recordsA": 1, "recordsB": 2}


PEOPLE = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bo"}, {"id": None, "name": "Cy"}]
CITIES = [{"name": "Faro", "id": 1.0}, {"name": "Lagos", "id": "2"}, {"name": "Évora", "id": 1}]


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        (
            "inner",
            [
                {"id": 1, "name": "Ada", "B_name": "Faro"},
                {"id": 1, "name": "Ada", "B_name": "Évora"},
            ],
        ),
        (
            "outer",
            [
                {"id": 1, "name": "Ada", "B_name": "Faro"},
                {"id": 1, "name": "Ada", "B_name": "Évora"},
                {"id": 2, "name": "Bo"},
                {"id": None, "name": "Cy"},
                {"B_name": "Lagos", "id": "2"},
            ],
        ),
    ],
)
# R003-21, defect 7
async def test_a_join_merges_by_key(kind: str, output: list[Any]) -> None:
    config = {"joinStrategy": "mergeByKey", "joinType": kind, "joinKey": "id"}
    assert (await completed("join", config, {"A": PEOPLE, "B": CITIES})).output == output


@pytest.mark.parametrize(
    ("data", "output"),
    [
        ({"A": [{"k": 1}]}, [{"k": 1}]),
        ({"B": [{"k": 1}]}, [{"k": 1}]),
        ({"A": {"k": 1}, "B": {"k": 1, "v": 0}}, [{"k": 1, "v": 0}]),
        ({"A": None, "B": []}, []),
        ({"A": [{"k": True}], "B": [{"k": 1}]}, [{"k": True}, {"k": 1}]),
        ({"A": [{"k": [1]}], "B": [{"k": [1]}]}, [{"k": [1]}]),
        ({"A": [5], "B": [{"k": 1}]}, [5, {"k": 1}]),
        (
            {"A": [{"k": 1, "x": 1}], "B": [{"k": 1, "x": 2, "B_x": 3}]},
            [{"k": 1, "x": 1, "B_B_x": 2, "B_x": 3}],
        ),
    ],
)
# R003-21
async def test_a_join_of_uneven_sides(data: Any, output: Any) -> None:
    config = {"joinStrategy": "mergeByKey", "joinType": "outer", "joinKey": "k"}
    assert (await completed("join", config, data)).output == output


# R003-21
def test_a_merge_needs_a_key() -> None:
    assert problems("join", {"joinStrategy": "mergeByKey"}) == [("required", "/joinKey")]
    assert problems("join", {"joinStrategy": "concat", "joinKey": ""}) == []
    assert load_node_types().types()["join"].spec.input_ports == ("A", "B")


# S-67
async def test_a_join_that_would_explode_fails_first() -> None:
    side = [{"k": 1}] * (int(MOST_RECORDS**0.5) + 1)
    config = {"joinStrategy": "mergeByKey", "joinKey": "k"}
    assert (await failed("join", config, {"A": side, "B": side})).code == "payload_too_large"


records = st.lists(
    st.fixed_dictionaries({"k": st.integers(0, 3)}, optional={"v": st.integers(0, 9)}), max_size=6
)


@bounded(deadline=None, max_examples=60)
@given(records, records)
async def test_a_merge_is_what_a_double_loop_gives(left: Any, right: Any) -> None:
    config = JoinConfig.model_validate({"joinStrategy": "mergeByKey", "joinKey": "k"})
    merged = (await join(config, {"A": left, "B": right}, None)).output  # type: ignore[arg-type]
    pairs = [(a, b) for a in left for b in right if a["k"] == b["k"]]
    assert [row["k"] for row in merged] == [a["k"] for a, _ in pairs]
    assert [row.get("v") for row in merged if "B_v" in row] == [
        a.get("v") for a, b in pairs if "v" in b and any("v" in record for record in left)
    ]


async def test_columns_split_two_ways() -> None:
    config = {"columnsOutputA": ["id", "gone"], "columnsOutputB": "id, price"}
    data = [{"id": 1, "price": 0, "x": 1}, {"id": 2, "price": None}]
    outcome = await completed("splitColumns", config, data)
    assert outcome.ports == ("A", "B")
    assert outcome.value_for("A") == [{"id": 1}, {"id": 2}]
    assert outcome.value_for("B") == [{"id": 1, "price": 0}, {"id": 2, "price": None}]


@pytest.mark.parametrize(
    ("renames", "output"),
    [
        ([("a", "x")], {"x": 1, "b": 2}),
        ([("a", "b"), ("b", "a")], {"b": 1, "a": 2}),
        ([("a", "b")], {"b": 1}),
        ([("", "x"), ("a", ""), ("z", "y")], {"a": 1, "b": 2}),
    ],
)
async def test_columns_get_new_names(renames: list[tuple[str, str]], output: Any) -> None:
    rows = [{"id": n, "oldName": old, "newName": new} for n, (old, new) in enumerate(renames)]
    outcome = await completed("action", {"columnRenames": rows}, {"a": 1, "b": 2})
    assert outcome.output == output
    assert list(outcome.output) == list(output)
