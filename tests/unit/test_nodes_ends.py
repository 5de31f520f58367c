"""Nodes where executions start and end: trigger, webhook, manualInput, output, comment."""

from typing import Any

import pytest

from tasks.load import load_node_types
from tasks.triggers import TriggerConfig
from tests.attempts import completed, failed, problems


@pytest.mark.parametrize(("given", "output"), [({}, {}), ({"n": 0}, 0), ({"n": None}, None)])
# R003-14, defect 10
async def test_a_trigger_gives_the_input_given_for_it(given: dict[str, Any], output: Any) -> None:
    assert (await completed("trigger", {}, inputs=given)).output == output


@pytest.mark.parametrize(
    ("interval", "unit", "seconds"),
    [
        ("5m", "hours", 300),
        (5, "hours", 18_000),
        ("5", "days", 432_000),
        ("1.5h", "minutes", 5400),
        ("30s", "minutes", 30),
        ("", "minutes", None),
        ("soon", "minutes", None),
        (0, "minutes", None),
        ("400d", "minutes", None),
        (-1, "minutes", None),
    ],
)
# R003-14
def test_the_interval_of_a_schedule(interval: Any, unit: str, seconds: float | None) -> None:
    config = {"scheduleInterval": interval, "scheduleUnit": unit}
    assert TriggerConfig.model_validate(config).interval_seconds == seconds
    enabled = problems("trigger", {**config, "scheduleEnabled": True, "scheduleType": "interval"})
    assert enabled == ([] if seconds else [("interval_invalid", "/scheduleInterval")])
    assert problems("trigger", config) == []


@pytest.mark.parametrize(
    ("inputs", "test_data", "output"),
    [
        ({"_webhookData": {"body": 1}, "n": 2}, {"t": 1}, {"body": 1}),
        ({"_webhookData": 0}, {"t": 1}, 0),
        ({"n": [2]}, {"t": 1}, [2]),
        ({}, {"t": "{{ 7*7 }}"}, {"t": "{{ 7*7 }}"}),
        ({}, '{"t": 1}', {"t": 1}),
        ({}, "plain", "plain"),
        ({}, "", {}),
        ({}, None, {}),
    ],
)
# R003-22, S-02
async def test_a_webhook_gives_what_its_caller_sent(
    inputs: dict[str, Any], test_data: Any, output: Any
) -> None:
    config = {"webhookId": "w", "webhookToken": "t", "webhookData": test_data}
    assert problems("webhook", config) == []
    assert (await completed("webhook", config, inputs=inputs)).output == output


@pytest.mark.parametrize(
    ("name_key", "value_key"),
    [
        ("inputVarName", "inputVarValue"),
        ("manualInputVarName", "manualInputVarValue"),
        ("variableName", "variableValue"),
    ],
)
# R003-15
async def test_a_manual_input_names_its_value(name_key: str, value_key: str) -> None:
    config = {name_key: "city", value_key: "Lisbon"}
    assert problems("manualInput", config) == []
    assert (await completed("manualInput", config)).output == {"city": "Lisbon"}
    assert (await completed("manualInput", {value_key: "x"})).output == {"input": "x"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("21", 21),
        ("-0.5", -0.5),
        (" 3 ", 3),
        ("1e3", 1000.0),
        ("0", 0),
        ("", ""),
        ("007", "007"),
        ("1,5", "1,5"),
        ("+1", "+1"),
        ("0x10", "0x10"),
        ("1e999", "1e999"),
        ("NaN", "NaN"),
        ("9007199254740993", "9007199254740993"),
        ("true", "true"),
        (5, 5),
        (None, None),
        ([1], [1]),
    ],
)
# R003-15
async def test_text_that_is_a_number_becomes_one(text: Any, value: Any) -> None:
    output = (await completed("manualInput", {"inputVarValue": text})).output["input"]
    assert output == value
    assert type(output) is type(value)


@pytest.mark.parametrize(
    ("given", "output"),
    [
        ("5", {"v": "5"}),
        (0, {"v": 0}),
        (False, {"v": False}),
        ("", {"v": ""}),
        (None, {"v": None}),
        ([], {"v": []}),
        ({"v": 3}, {"v": 3}),
        ({"v": 3, "w": 4}, {"v": {"v": 3, "w": 4}}),
        ({"w": 4}, {"v": {"w": 4}}),
        ("{{ 7*7 }}", {"v": "{{ 7*7 }}"}),
    ],
)
# R003-15, S-02, defects 4 and 10
async def test_an_input_given_for_the_node_wins(given: Any, output: Any) -> None:
    config = {"inputVarName": "v", "inputVarValue": "configured"}
    inputs = {"n": given, "other": 1}
    assert (await completed("manualInput", config, inputs=inputs)).output == output


@pytest.mark.parametrize("data", [{"a": 1}, [], 0, "", None, "{{ 7*7 }}"])
# R003-16, defect 10
async def test_an_output_passes_its_input_through(data: Any) -> None:
    outcome = await completed("output", {}, data)
    assert outcome.output == data
    assert outcome.details == {"isFinal": True}


# R003-23, defect 9
def test_a_comment_is_not_executable() -> None:
    spec = load_node_types().types()["comment"].spec
    assert not spec.executable
    assert problems("comment", {"commentText": "{{ not a template"}) == []


# R003-14 to R003-23
def test_every_node_type_of_the_dialect_is_there() -> None:
    types = load_node_types().types()
    wanted = "trigger manualInput output http llm condition addField join webhook comment"
    assert set(wanted.split()) <= set(types)
    assert {"webhookResponse", "splitColumns", "action"} <= set(types)
    assert {name for name, kind in types.items() if kind.spec.trigger} == {"trigger", "webhook"}
    assert {name for name, kind in types.items() if not kind.pure} == {"http", "llm"}
    assert all(kind.description and kind.spec.title for kind in types.values())


@pytest.mark.parametrize(
    ("config", "code", "pointer"),
    [
        ({"webhookResponseStatusCode": 99}, "number_range", "/webhookResponseStatusCode"),
        (
            {"webhookResponseStatusCode": "abc"},
            "type_number_expected",
            "/webhookResponseStatusCode",
        ),
        ({"webhookResponseMode": "all"}, "value_unknown", "/webhookResponseMode"),
        ({"webhookResponseTemplate": "{{ a"}, "template_syntax", "/webhookResponseTemplate"),
        (
            {"webhookResponseHeaders": [{"key": "a b", "value": "c"}]},
            "header_invalid",
            "/webhookResponseHeaders/0/key",
        ),
        (
            {"webhookResponseHeaders": [{"key": "a", "value": "b\r\nc: d"}]},
            "header_invalid",
            "/webhookResponseHeaders/0/value",
        ),
        (
            {"webhookResponseHeaders": [{"key": "Content-Length", "value": "1"}]},
            "header_forbidden",
            "/webhookResponseHeaders/0/key",
        ),
    ],
)
def test_answers_that_no_server_could_send(config: dict[str, Any], code: str, pointer: str) -> None:
    assert problems("webhookResponse", config) == [(code, pointer)]


@pytest.mark.parametrize(
    ("config", "body"),
    [
        ({}, [{"a": 1, "b": 'x", "admin": "1'}]),
        (
            {"webhookResponseMode": "selected", "webhookResponseFields": ["b", "z"]},
            [{"b": 'x", "admin": "1'}],
        ),
        (
            {
                "webhookResponseMode": "template",
                "webhookResponseTemplate": '{"n": "{{ input[0].a }}", "b": "<{{ input[0].b }}>"}',
            },
            {"n": 1, "b": '<x", "admin": "1>'},
        ),
        (
            {"webhookResponseMode": "template", "webhookResponseTemplate": "a={{ input[0].a }}"},
            "a=1",
        ),
    ],
)
async def test_what_the_caller_of_a_webhook_gets(config: dict[str, Any], body: Any) -> None:
    headers = [{"id": "1", "key": "X-A", "value": "{{ input[0].a }}!"}, {"key": "", "value": ""}]
    settings = {"webhookResponseStatusCode": "201", "webhookResponseHeaders": headers}
    data = [{"a": 1, "b": 'x", "admin": "1'}]
    outcome = await completed("webhookResponse", {**config, **settings}, data)
    assert outcome.output == body
    assert outcome.details == {
        "isWebhookResponse": True,
        "webhookResponseStatusCode": 201,
        "webhookResponseHeaders": {"X-A": "1!"},
        "webhookResponseBody": body,
    }


async def test_a_rendered_header_is_checked_again() -> None:
    headers = [{"key": "X-A", "value": "{{ v }}"}]
    failure = await failed("webhookResponse", {"webhookResponseHeaders": headers}, {"v": "a\nb"})
    assert failure.details["problems"][0]["code"] == "header_invalid"
