"""The operators of a condition."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.conditions import (
    OPERATORS,
    Condition,
    canonical_operator,
    evaluate,
    field_value,
    matches,
)

TABLE: list[tuple[Any, str, Any, bool]] = [
    ("5", "equals", 5, True),
    (5.0, "equals", "5", True),
    ("5.0", "equals", "5", True),
    (" 5 ", "equals", 5, True),
    (0.1, "equals", "0.1", True),
    (True, "equals", "true", True),
    (True, "equals", 1, False),
    ("True", "equals", True, False),
    (None, "equals", "", True),
    (None, "equals", "null", False),
    (None, "equals", 0, False),
    ("Ana", "equals", "ana", False),
    ([1, 2], "equals", "[1,2]", True),
    ({"a": None}, "equals", {"a": None}, True),
    (10**40, "equals", str(10**40), True),
    ("5", "notEquals", 5, False),
    ("hello world", "contains", "lo w", True),
    (5123, "contains", 12, True),
    (None, "contains", "", False),
    ([1, "a"], "contains", "1", True),
    ([1, "a"], "contains", "b", False),
    ({"key": 1}, "contains", "key", True),
    ({"key": 1}, "notContains", "1", True),
    ("hello", "startsWith", "he", True),
    (512, "startsWith", "5", True),
    ("hello", "endsWith", "lo", True),
    (None, "endsWith", "x", False),
    ("10", "greaterThan", "9", True),
    ("10", "greaterThan", 9.5, True),
    ("abc", "greaterThan", 10, False),
    ("abc", "greaterThan", "10", False),
    ("abc", "lessThan", 10, False),
    (None, "greaterThan", 1, False),
    (None, "lessOrEqual", None, False),
    (True, "greaterThan", 0, False),
    (float("nan"), "lessOrEqual", float("nan"), False),
    ([2], "greaterThan", [1], False),
    ("2024-02-01", "greaterThan", "2024-01-31T10:00:00Z", True),
    (5, "greaterOrEqual", "5.0", True),
    (4, "lessOrEqual", 5, True),
    ("", "isEmpty", None, True),
    (None, "isEmpty", None, True),
    ([], "isEmpty", None, True),
    ({}, "isEmpty", None, True),
    (0, "isEmpty", None, False),
    (False, "isEmpty", None, False),
    (" ", "isNotEmpty", None, True),
    ("abc", "isText", None, True),
    ("12", "isText", None, False),
    (12, "isText", None, False),
    ("12.5e3", "isNumber", None, True),
    (12, "isNumber", None, True),
    (True, "isNumber", None, False),
    ("1_000", "isNumber", None, False),
    ("nan", "isNumber", None, False),
]


# R003-19, B113
@pytest.mark.parametrize(("left", "operator", "right", "expected"), TABLE)
def test_a_condition_is(left: Any, operator: str, right: Any, expected: bool) -> None:
    assert evaluate(operator, left, right) is expected


# R003-19
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "equals"),
        ("not_equals", "notEquals"),
        ("NOT EQUALS", "notEquals"),
        ("greater_than", "greaterThan"),
        ("greater_or_equal", "greaterOrEqual"),
        ("greaterThanOrEqual", "greaterOrEqual"),
        ("is_not_empty", "isNotEmpty"),
        ("starts-with", "startsWith"),
        (">=", "greaterOrEqual"),
        ("approximately", None),
        ("__class__", None),
    ],
)
def test_an_operator_has_several_spellings(name: str, expected: str | None) -> None:
    assert canonical_operator(name) == expected


# B112
def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(ValueError, match="approximately"):
        evaluate("approximately", 1, 1)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("a", {"b": 1}),
        ("a.b", "literal"),
        ("rows.1.n", 2),
        ("a.x.y", None),
        ("Precio Total", 9),
        ("zero", 0),
    ],
)
def test_a_field_is_a_key_or_a_path(field: str, expected: Any) -> None:
    record = {
        "a": {"b": 1},
        "a.b": "literal",
        "rows": [{"n": 1}, {"n": 2}],
        "Precio Total": 9,
        "zero": 0,
    }
    assert field_value(record, field) == expected


def test_the_empty_field_is_the_record_and_a_scalar_has_no_fields() -> None:
    assert field_value("x", "") == "x"
    assert field_value(5, "a") is None
    assert field_value(None, "a.b") is None


# R003-19
@pytest.mark.parametrize(
    ("logic", "expected"), [("AND", [True, False, False, True]), ("OR", [True, True, False, True])]
)
def test_conditions_are_joined(logic: Any, expected: list[bool]) -> None:
    record = {"n": 5, "s": "x"}
    yes, no = Condition("n", "greater_than", "4"), Condition("s", "equals", "y")
    sets = [[yes, yes], [yes, no], [no, no], []]
    assert [matches(record, conditions, logic) for conditions in sets] == expected


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["5", "5.0", "-1e3", "2024-01-01", "true", "[]"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=6,
)


# B113
@settings(deadline=None, max_examples=150)
@given(left=JSON, right=JSON)
def test_no_values_make_an_operator_raise_and_opposites_differ(left: Any, right: Any) -> None:
    verdict = {name: evaluate(name, left, right) for name in OPERATORS}
    assert all(type(value) is bool for value in verdict.values())
    for name, opposite in (
        ("equals", "notEquals"),
        ("contains", "notContains"),
        ("isEmpty", "isNotEmpty"),
    ):
        assert verdict[name] is not verdict[opposite]
    assert not (verdict["greaterThan"] and verdict["lessThan"])
    assert verdict["greaterThan"] == evaluate("lessThan", right, left)
    assert not (verdict["isText"] and verdict["isNumber"])


@settings(deadline=None, max_examples=60)
@given(record=JSON, field=st.text(max_size=12) | st.sampled_from(["0", "a.0", "..", "."]))
def test_no_field_name_raises(record: Any, field: str) -> None:
    field_value(record, field)
