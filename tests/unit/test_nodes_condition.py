from typing import Any

import pytest

from tasks.load import load_node_types
from tests.attempts import completed, failed, problems


def when(field: str, operator: str | None, value: Any, **more: Any) -> dict[str, Any]:
    config = {"conditionField": field, "conditionValue": value, **more}
    return config if operator is None else {**config, "conditionOperator": operator}


@pytest.mark.parametrize(
    ("config", "port"),
    [
        (when("age", None, "42"), "true"),
        (when("age", "greaterThan", 40), "true"),
        (when("age", "greater_than", "{{ limit }}"), "false"),
        (when("name", "startsWith", "A"), "true"),
        (when("customer.city", "equals", "Faro"), "true"),
        (when("missing", "isEmpty", ""), "true"),
        (when("zero", "equals", 0), "true"),
        (when("zero", "isEmpty", ""), "false"),
        (when("null", "greaterThan", 1), "false"),
        (when("name", "greaterThan", 10), "false"),
        (when("name", "lessThan", 10), "false"),
        (
            when("age", "equals", 1, additionalConditions=[{"field": "age", "value": 42}]),
            "false",
        ),
        (
            when(
                "age",
                "equals",
                1,
                logicalOperator="OR",
                additionalConditions=[{"id": "x", "field": "age", "operator": "eq", "value": 42}],
            ),
            "true",
        ),
        ({"additionalConditions": [{"field": "age", "value": 42}]}, "true"),
        ({"expression": "age > 40 and name == 'Ada'"}, "true"),
        ({"expression": "{{ not zero }}"}, "true"),
        ({"expression": "limit < age"}, "false"),
        ({"expression": "", "conditionField": "age", "conditionValue": 42}, "true"),
    ],
)
# R003-19, B113, defect 1
async def test_the_input_leaves_through_one_port(config: dict[str, Any], port: str) -> None:
    data = {
        "age": 42,
        "limit": 50,
        "name": "Ada",
        "zero": 0,
        "null": None,
        "customer": {"city": "Faro"},
    }
    assert problems("condition", config) == []
    outcome = await completed("condition", config, data)
    assert outcome.ports == (port,)
    assert outcome.value_for(port) == data
    assert outcome.details["conditionResult"] is (port == "true")


@pytest.mark.parametrize(
    ("data", "port"),
    [([{"a": 1}, {"a": 2}], "true"), ([{"a": 2}, {"a": 1}], "false"), ([], "false")],
)
# R003-19
async def test_the_first_record_decides_for_a_list(data: Any, port: str) -> None:
    outcome = await completed("condition", when("a", "equals", 1), data)
    assert (outcome.ports, outcome.output) == ((port,), data)
    verdict = port == "true"
    assert outcome.details == {
        "conditionResult": verdict,
        "trueRecords": len(data) if verdict else 0,
        "falseRecords": 0 if verdict else len(data),
    }


@pytest.mark.parametrize(
    ("data", "ports", "true", "false"),
    [
        ([1, 5, 9], ("true", "false"), [5, 9], [1]),
        ([1, 2], ("false",), None, [1, 2]),
        ([8], ("true",), [8], None),
        ([], (), None, None),
    ],
)
@pytest.mark.parametrize("how", ["operator", "expression"])
# R003-19
async def test_records_part_and_a_port_without_records_is_dead(
    how: str, data: list[int], ports: tuple[str, ...], true: Any, false: Any
) -> None:
    records = [{"a": a} for a in data]
    config = when("a", "gt", 3) if how == "operator" else {"expression": "a > 3"}
    outcome = await completed("condition", {**config, "processingMode": "perRow"}, records)
    assert outcome.ports == ports
    for port, wanted in (("true", true), ("false", false)):
        if wanted is not None:
            assert outcome.value_for(port) == [{"a": a} for a in wanted]
    assert outcome.details["trueRecords"] == len(true or [])
    assert outcome.details["falseRecords"] == len(false or [])


@pytest.mark.parametrize(
    ("config", "code", "pointer"),
    [
        (when("a", "resembles", 1), "expression_invalid", "/conditionOperator"),
        (
            when("a", "eq", 1, additionalConditions=[{"field": "b", "operator": "??"}]),
            "expression_invalid",
            "/additionalConditions/0/operator",
        ),
        ({"expression": "a >"}, "expression_invalid", "/expression"),
        ({"expression": "{{ a > }}"}, "expression_invalid", "/expression"),
        ({"expression": "''.__class__"}, "expression_invalid", "/expression"),
        ({"expression": ""}, "required", "/conditionField"),
        ({}, "required", "/conditionField"),
        (when("a", "eq", 1, logicalOperator="XOR"), "value_unknown", "/logicalOperator"),
    ],
)
# B112
def test_conditions_that_say_nothing_that_can_be_decided(
    config: dict[str, Any], code: str, pointer: str
) -> None:
    assert problems("condition", config) == [(code, pointer)]


# B112
def test_the_column_of_a_mistake_is_told() -> None:
    spec = load_node_types().types()["condition"].spec
    (problem,) = spec.check_config({"expression": "{{ a + }}"})
    assert "column 8" in problem.message


@pytest.mark.parametrize("expression", ["a", "'true'", "null", "[]", "1"])
# B113
async def test_an_expression_must_give_true_or_false(expression: str) -> None:
    failure = await failed("condition", {"expression": expression}, {"a": "x", "null": None})
    assert failure.code == "expression_type"


# S-02
async def test_a_template_in_the_data_is_data() -> None:
    config = when("a", "equals", "{{ b }}")
    data = {"a": "{{ 7*7 }}", "b": "{{ 7*7 }}"}
    assert (await completed("condition", config, data)).ports == ("true",)
