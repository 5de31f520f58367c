from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from config import Settings
from core.errors import Failure
from tasks.outcomes import Completed
from tests.attempts import completed, failed, problems, settings, warnings
from tests.servers.model_server import ModelServer, Reply

KEY = "sk-canary-0123456789"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


def using(server: ModelServer, **more: Any) -> Settings:
    return settings(openai_base_url=server.base_url, openai_api_key=KEY, **more)


async def ask(server: ModelServer, config: dict[str, Any], data: Any = None) -> Completed:
    return await completed("llm", {"llmPrompt": "Q", **config}, data, using=using(server))


async def refuse(server: ModelServer, config: dict[str, Any], data: Any = None) -> Failure:
    return await failed("llm", {"llmPrompt": "Q", **config}, data, using=using(server))


# R003-18
async def test_a_question_and_its_answer(server: ModelServer) -> None:
    server.says("Yes.")
    config = {"prompt": "Is {{ name }} in?", "llmTemperature": 0.2, "llmMaxTokens": 50}
    outcome = await completed("llm", config, {"name": "Ada"}, using=using(server))
    assert outcome.output == {
        "response": "Yes.",
        "outputType": "text",
        "inputData": {"name": "Ada"},
    }
    assert outcome.details == {
        "llmResponse": "Yes.",
        "usage": {"promptTokens": 7, "completionTokens": 3, "totalTokens": 10},
        "model": "gpt-4o-mini",
    }
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    body = request.body
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("gpt-4o-mini", 0.2, 50)
    assert request.user_text == 'Is Ada in?\n\nContext data:\n{"name":"Ada"}'
    # S-08
    assert not {"tools", "functions", "tool_choice"} & set(body)


# R003-18
async def test_what_is_sent_along(server: ModelServer) -> None:
    config = {
        "llmIncludeInput": False,
        "llmContextEntities": ["orders"],
        "llmSystem": "Be {{ x }}.",
    }
    await ask(server, {**config, "llmModel": "other"}, {"x": "brief"})
    (request,) = server.requests
    assert request.user_text == 'Q\n\nContext entities:\n["orders"]'
    assert request.body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert request.body["model"] == "other"
    assert not {"temperature", "max_tokens"} & set(request.body)


async def test_a_large_input_is_cut_off(server: ModelServer) -> None:
    await ask(server, {}, "é" * 200_000)
    assert server.requests[0].user_text.endswith("é… (cut off)")
    assert len(server.requests[0].user_text.encode()) < 101 * 1024


# S-02, S-08
async def test_an_answer_is_data(server: ModelServer) -> None:
    evil = "{{ 7*7 }} {% for x in y %} ${7*7} {{ nodes }}"
    server.says(evil)
    outcome = await ask(server, {"llmPrompt": "{{ text }}"}, {"text": evil})
    assert outcome.output["response"] == evil
    assert outcome.details["llmResponse"] == evil
    assert server.requests[0].user_text.startswith(evil)


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("config", "said", "response"),
    [
        ({"outputType": "number"}, " 42 ", 42),
        ({"outputType": "number"}, "-1.5e3", -1500.0),
        ({"outputType": "date"}, "2026-03-01", "2026-03-01"),
        ({"outputType": "date"}, "2026-03-01T10:00:00Z", "2026-03-01"),
        ({"outputType": "enum", "enumOptions": ["High", "Low"]}, "high.", "High"),
        ({"outputType": "enum", "enumOptions": ["a.", "a"]}, "a.", "a."),
        ({"outputType": "json"}, '```json\n{"a": [1]}\n```', {"a": [1]}),
        ({"outputType": "json", "llmSchema": SCHEMA}, '{"n": 5}', {"n": 5}),
        ({"outputType": "json"}, "0", 0),
        ({"outputType": "text"}, "", ""),
    ],
)
# R003-18, defect 10
async def test_answers_of_a_kind(
    server: ModelServer, config: dict[str, Any], said: str, response: Any
) -> None:
    server.says(said)
    outcome = await ask(server, config)
    assert outcome.output["response"] == response
    assert type(outcome.output["response"]) is type(response)
    assert len(server.requests) == 1


WRONG = [
    ({"outputType": "number"}, "about 42"),
    ({"outputType": "number"}, "NaN"),
    ({"outputType": "number"}, "1e999"),
    ({"outputType": "number"}, "1_000"),
    ({"outputType": "number"}, None),
    ({"outputType": "date"}, "2026-02-30"),
    ({"outputType": "enum", "enumOptions": ["High", "Low"]}, "Medium"),
    ({"outputType": "json"}, "{'a': 1}"),
    ({"outputType": "json"}, '{"a": NaN}'),
    ({"outputType": "json", "llmSchema": SCHEMA}, '{"n": "5"}'),
]


@pytest.mark.parametrize(("config", "said"), WRONG)
# B109, S-08
async def test_a_wrong_answer_is_sent_back_once(
    server: ModelServer, config: dict[str, Any], said: str | None
) -> None:
    server.says(said, said)
    failure = await refuse(server, config)
    assert (failure.code, failure.retryable) == ("llm_output_invalid", False)
    assert failure.details["usage"]["totalTokens"] == 20
    first, second = (request.body["messages"] for request in server.requests)
    assert second[: len(first)] == first
    assert second[-2] == {"role": "assistant", "content": said or ""}
    assert second[-1]["role"] == "user"
    assert "answer" in second[-1]["content"]


async def test_the_second_answer_may_be_right(server: ModelServer) -> None:
    server.says("forty-two", "42")
    outcome = await ask(server, {"outputType": "number"})
    assert outcome.output["response"] == 42
    assert outcome.details["usage"]["totalTokens"] == 20


# R003-18
async def test_a_list_is_asked_about_record_by_record(server: ModelServer) -> None:
    rows = [{"n": n} for n in range(9)]
    config = {
        "prompt": "{{ n }}",
        "llmProcessingMode": "perRow",
        "outputType": "number",
        "llmIncludeInput": False,
    }
    outcome = await completed("llm", config, rows, using=using(server))
    assert outcome.output == {
        "response": list(range(9)),
        "outputType": "number",
        "inputData": rows,
    }
    assert outcome.details["usage"]["totalTokens"] == 90
    assert len(outcome.details["llmResponse"]) == 9
    empty = await completed("llm", config, [], using=using(server))
    assert empty.output["response"] == []


async def test_a_few_records_are_asked_about_at_once(server: ModelServer) -> None:
    server.replies(*(Reply("x", delay=0.05) for _ in range(8)))
    await ask(server, {"processingMode": "perRow"}, list(range(8)))
    assert 2 <= server.most_at_once <= 4


async def test_one_record_that_fails_fails_the_node(server: ModelServer) -> None:
    server.replies(Reply(status=500), *(Reply(hangs=True) for _ in range(3)))
    failure = await refuse(server, {"processingMode": "perRow"}, list(range(5)))
    assert failure.code == "llm_rejected"


@pytest.mark.parametrize(
    ("config", "code", "pointer"),
    [
        ({}, "required", "/llmPrompt"),
        ({"prompt": ""}, "required", "/prompt"),
        ({"llmPrompt": "{{ a"}, "template_syntax", "/llmPrompt"),
        ({"llmPrompt": "{{ ''.__class__ }}"}, "template_forbidden", "/llmPrompt"),
        ({"prompt": "x" * 10_000_000}, "string_too_long", "/prompt"),
        ({"prompt": "Q", "llmTemperature": 9}, "number_range", "/llmTemperature"),
        ({"prompt": "Q", "llmTemperature": -1}, "number_range", "/llmTemperature"),
        ({"prompt": "Q", "llmTemperature": float("nan")}, "number_range", "/llmTemperature"),
        ({"prompt": "Q", "llmMaxTokens": 0}, "number_range", "/llmMaxTokens"),
        ({"prompt": "Q", "llmMaxTokens": 10**9}, "number_range", "/llmMaxTokens"),
        ({"prompt": "Q", "outputType": "list"}, "value_unknown", "/outputType"),
        ({"prompt": "Q", "outputType": "enum"}, "required", "/enumOptions"),
        ({"prompt": "Q", "outputType": "enum", "enumOptions": [" "]}, "required", "/enumOptions"),
        ({"prompt": "Q", "llmBaseUrl": "file:///etc"}, "url_scheme", "/llmBaseUrl"),
        ({"prompt": "Q", "llmBaseUrl": "http://10.0.0.1/v1"}, "url_blocked", "/llmBaseUrl"),
        ({"prompt": "Q", "llmSchema": {"type": "thing"}}, "schema_invalid", "/llmSchema"),
        ({"prompt": "Q", "llmSchema": {"pattern": "(a+)+$"}}, "schema_invalid", "/llmSchema"),
        ({"prompt": "Q", "llmSchema": {"$ref": "http://x/y"}}, "schema_invalid", "/llmSchema"),
        ({"prompt": "Q", "messages": []}, "field_unknown", "/messages"),
    ],
)
# B109, B110, B111, B115, B117, B132
def test_questions_that_cannot_be_asked(config: dict[str, Any], code: str, pointer: str) -> None:
    assert (code, pointer) in problems("llm", config)


def test_a_deep_schema_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(40):
        schema = {"properties": {"pattern": schema}}
    assert problems("llm", {"prompt": "Q", "llmSchema": schema}) == [
        ("schema_invalid", "/llmSchema")
    ]
    named = {"properties": {"pattern": {"type": "string"}}, "examples": [{"$ref": "http://x"}]}
    assert problems("llm", {"prompt": "Q", "llmSchema": named}) == []


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"$ref": "#/$defs/gone"}])
# B132
async def test_a_schema_that_leads_nowhere_is_a_wrong_answer(
    server: ModelServer, schema: dict[str, Any]
) -> None:
    failure = await refuse(server, {"outputType": "json", "llmSchema": schema, "prompt": "1"})
    assert failure.code == "llm_output_invalid"


def test_what_front_ends_leave_empty_is_absent() -> None:
    config = {"llmPrompt": "", "prompt": "Q", "enumOptions": "", "llmTemperature": ""}
    assert problems("llm", {**config, "outputType": "", "llmProcessingMode": ""}) == []
    assert warnings("llm", {"prompt": "Q", "httpUrl": "x"}) == [("config_key_ignored", "/httpUrl")]


def test_the_model_server_speaks_json() -> None:
    assert orjson.loads(Reply("x").body("m"))["choices"][0]["message"]["content"] == "x"
