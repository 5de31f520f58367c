from typing import Any, Literal

import pytest
from pydantic import AliasChoices, Field
from pydantic_core import PydanticCustomError

from core.errors import NodeError
from tasks.config_check import check_config, known_part, parse_config, register_keys
from tasks.config_messages import config_error
from tasks.registry import NodeConfig
from tests.attempts import problems, warnings


class Inner(NodeConfig):
    key: str
    size: int = Field(0, ge=0, le=9)


def _no_b(value: str) -> str:
    if value == "b":
        raise config_error("letter_refused", "Not this letter.")
    return value


class Sample(NodeConfig):
    text: str = Field(validation_alias=AliasChoices("sampleText", "text", "old"), min_length=1)
    number: float | None = Field(None, alias="sampleNumber", gt=0, lt=10)
    flag: bool = Field(False, alias="sampleFlag")
    choice: Literal["x", "y"] = Field("x", alias="sampleChoice")
    rows: list[Inner] = Field(default_factory=list, alias="sampleRows", max_length=3)
    table: dict[str, str] = Field(default_factory=dict, alias="sampleTable")
    mixed: int | str | None = Field(None, alias="sampleMixed")


class Neighbour(NodeConfig):
    other: str = Field("", alias="neighboursKey")


register_keys(Neighbour)


def found(config: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(p.code, p.pointer, p.severity) for p in check_config(Sample, config)]


@pytest.mark.parametrize(
    ("extra", "code", "pointer"),
    [
        ({"text": 5}, "type_string_expected", "/text"),
        ({"sampleNumber": "1"}, "type_number_expected", "/sampleNumber"),
        ({"sampleNumber": True}, "type_number_expected", "/sampleNumber"),
        ({"sampleNumber": 0}, "number_range", "/sampleNumber"),
        ({"sampleNumber": 10.0}, "number_range", "/sampleNumber"),
        ({"sampleNumber": float("nan")}, "number_range", "/sampleNumber"),
        ({"sampleFlag": "yes"}, "type_boolean_expected", "/sampleFlag"),
        ({"sampleFlag": 1}, "type_boolean_expected", "/sampleFlag"),
        ({"sampleChoice": "z"}, "value_unknown", "/sampleChoice"),
        ({"sampleRows": {}}, "type_array_expected", "/sampleRows"),
        ({"sampleRows": ["a"]}, "type_object_expected", "/sampleRows/0"),
        ({"sampleRows": [{"key": "a"}, {}]}, "required", "/sampleRows/1/key"),
        ({"sampleRows": [{"key": "a", "size": 10}]}, "number_range", "/sampleRows/0/size"),
        ({"sampleRows": [{"key": "a", "size": 1.5}]}, "type_number_expected", "/sampleRows/0/size"),
        ({"sampleRows": [{"key": "a", "no": 1}]}, "field_unknown", "/sampleRows/0/no"),
        ({"sampleRows": [{"key": "a"}] * 4}, "array_too_long", "/sampleRows"),
        ({"sampleTable": []}, "type_object_expected", "/sampleTable"),
        ({"sampleTable": {"a/b~c": 1}}, "type_string_expected", "/sampleTable/a~1b~0c"),
        ({"sampleMixed": []}, "type_number_expected", "/sampleMixed"),
        ({"samplenumber": 1}, "field_unknown", "/samplenumber"),
    ],
)
# B095, B105, B109
def test_each_problem_has_a_code_and_a_pointer(
    extra: dict[str, Any], code: str, pointer: str
) -> None:
    assert found({"text": "t", **extra}) == [(code, pointer, "error")]


def test_all_problems_are_reported_at_once_by_the_users_own_keys() -> None:
    config = {"old": 1, "sampleNumber": -1, "sampleRows": [{}], "extra": 1}
    assert found(config) == [
        ("type_string_expected", "/old", "error"),
        ("number_range", "/sampleNumber", "error"),
        ("required", "/sampleRows/0/key", "error"),
        ("field_unknown", "/extra", "error"),
    ]


def test_a_missing_field_is_named_by_its_proper_key() -> None:
    assert found({}) == [("required", "/sampleText", "error")]
    assert found({"text": ""}) == [("required", "/text", "error")]


# What a template comes to is only known at run time.
@pytest.mark.parametrize(
    "extra",
    [
        {"sampleNumber": "{{ n }}"},
        {"sampleFlag": "{{ on }}"},
        {"sampleChoice": "{% if a %}x{% endif %}"},
        {"sampleRows": "{{ rows }}"},
        {"sampleRows": [{"key": "a", "size": "{{ n }}"}]},
        {"sampleTable": "{{ table }}"},
    ],
)
def test_a_template_may_stand_for_any_value(extra: dict[str, Any]) -> None:
    assert found({"text": "t", **extra}) == []


def test_a_template_in_one_field_hides_no_problem_of_another() -> None:
    config = {"text": "t", "sampleNumber": "{{ n }}", "sampleFlag": "no"}
    assert found(config) == [("type_boolean_expected", "/sampleFlag", "error")]


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"sampleText": "a", "text": "b", "old": "c"}, "a"),
        ({"sampleText": "", "text": "b", "old": "c"}, "b"),
        ({"sampleText": "", "old": "c"}, "c"),
    ],
)
# R003-18, R003-20
def test_the_first_alias_that_is_not_empty_counts(config: dict[str, Any], text: str) -> None:
    assert check_config(Sample, config) == []
    assert parse_config(Sample, config).text == text


def test_empty_text_is_absence_where_text_cannot_be_meant() -> None:
    empty = {"sampleNumber": "", "sampleFlag": "", "sampleChoice": "", "sampleRows": ""}
    config = {"text": "t", "sampleMixed": "", **empty}
    assert check_config(Sample, config) == []
    parsed = parse_config(Sample, config)
    assert (parsed.number, parsed.flag, parsed.choice, parsed.rows) == (None, False, "x", [])
    assert parsed.mixed == ""


def test_keys_of_other_node_types_are_ignored_with_a_warning() -> None:
    config = {"text": "t", "neighboursKey": 5, "pythonCode": "x = 1"}
    assert found(config) == [
        ("config_key_ignored", "/neighboursKey", "warning"),
        ("config_key_ignored", "/pythonCode", "warning"),
    ]
    assert known_part(Sample, config) == {"text": "t"}
    assert parse_config(Sample, config).text == "t"


def test_common_keys_are_nobodys_business_here() -> None:
    config = {"text": "t", "customName": "N", "retry": 3, "timeout": 1, "onError": "stop"}
    assert found(config) == []


def test_an_unknown_key_comes_with_the_nearest_one() -> None:
    problem = check_config(Sample, {"text": "t", "sampleNumbr": 1})[0]
    assert problem.code == "field_unknown"
    assert '"sampleNumber"' in problem.message


# S-03, B056
@pytest.mark.parametrize("key", ["environment_params", "autoescape", "extensions", "undefined"])
@pytest.mark.parametrize("node_type", ["http", "llm", "condition", "addField", "webhookResponse"])
def test_no_setting_reaches_the_template_environment(node_type: str, key: str) -> None:
    assert ("field_unknown", f"/{key}") in problems(node_type, {key: {"a": 1}})


# R003-14, R003-22, R003-23
def test_a_changed_type_leaves_keys_behind_that_do_no_harm() -> None:
    left_over = {"httpUrl": "http://x", "llmPrompt": "p", "webhookId": "w", "commentText": "c"}
    assert problems("output", left_over) == []
    assert len(warnings("output", left_over)) == 4


def test_messages_are_plain_and_quote_little() -> None:
    config = {"text": ["x"], "sampleChoice": "z" * 500, "sampleNumber": "n" * 500}
    messages = [p.message for p in check_config(Sample, config)]
    assert messages[0] == '"text" must be text, not a list.'
    assert all("pydantic" not in m and "http" not in m and m.count("n" * 65) == 0 for m in messages)
    assert '"x" or "y"' in messages[2]
    assert "z" * 63 + "…" in messages[2]
    assert "z" * 64 not in messages[2]


def test_a_value_that_fits_none_of_several_kinds_gets_one_message() -> None:
    (problem,) = check_config(Sample, {"text": "t", "sampleMixed": {}})
    assert problem.message == '"sampleMixed" must be a number or text, not an object.'


def test_run_time_names_every_problem() -> None:
    with pytest.raises(NodeError) as caught:
        parse_config(Sample, {"sampleNumber": "7"})
    failure = caught.value.failure
    assert failure.code == "config_invalid"
    assert '"sampleText" is required.' in failure.message
    assert '"sampleNumber" must be a number, not "7".' in failure.message
    assert [p["pointer"] for p in failure.details["problems"]] == ["/sampleText", "/sampleNumber"]


def test_validators_speak_in_codes_of_their_own() -> None:
    error = config_error("some_code", "Braces {x} stay.")
    assert isinstance(error, PydanticCustomError)
    assert (error.type, error.message()) == ("some_code", "Braces {x} stay.")
    assert _no_b("a") == "a"
    with pytest.raises(PydanticCustomError):
        _no_b("b")
