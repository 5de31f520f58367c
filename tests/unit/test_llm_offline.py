"""The rules of `offline/echo`: the same answer every time, without a key or a network."""

from typing import Any

import pytest

from tests.attempts import completed, failed


async def answer(prompt: str, data: Any, **config: Any) -> Any:
    config = {"prompt": prompt, "llmModel": "offline/echo", **config}
    return (await completed("llm", config, data)).output["response"]


async def test_text_is_the_last_line_of_the_prompt() -> None:
    assert await answer("First\n\n  Hello {{ name }}  \n\n", {"name": "Ada"}) == "Hello Ada"
    # S-02
    assert await answer("{{ name }}", {"name": "{{ 7*7 }}"}) == "{{ 7*7 }}"


RULES = "Which team?\nbilling: invoice, refund\n- tech: error, crash, does not start\nother"


@pytest.mark.parametrize(
    ("prompt", "data", "option"),
    [
        (RULES, {"text": "My Invoice is wrong"}, "billing"),
        (RULES, {"text": "error, error! refund"}, "tech"),
        (RULES, {"text": "It DOES NOT START"}, "tech"),
        (RULES, {"text": "invoices and errors"}, "other"),
        (RULES, {"text": "other other tech"}, "other"),
        (RULES, {"text": "tech billing"}, "billing"),
        (RULES, {"error": "nothing"}, "other"),
        ("Say tech or say tech", None, "tech"),
        ("Say", None, "billing"),
        ("Say", {"text": "hm"}, "billing"),
    ],
)
async def test_an_option_is_chosen_by_its_words(prompt: str, data: Any, option: str) -> None:
    options = ["billing", "tech", "other"]
    assert await answer(prompt, data, outputType="enum", enumOptions=options) == option


@pytest.mark.parametrize(
    ("prompt", "data", "number"),
    [
        ("Between 1 and 5", {"a7": "x", "b": "about -12.50 of 3"}, -12.5),
        ("Between 1 and 5", {"a": None}, 1),
        ("v1.2.3", {"text": "abc12 007"}, 7),
        ("None", "0.5", 0.5),
        ("None", [], 0),
    ],
)
async def test_the_first_number_counts(prompt: str, data: Any, number: float) -> None:
    assert await answer(prompt, data, outputType="number") == number


@pytest.mark.parametrize(
    ("prompt", "data", "day"),
    [
        ("Since 2025-01-01", {"t": "2026-02-30 or 2026-03-01T10:00"}, "2026-03-01"),
        ("Since 2025-01-01", {}, "2025-01-01"),
        ("When?", {}, "1970-01-01"),
    ],
)
async def test_the_first_date_counts(prompt: str, data: Any, day: str) -> None:
    assert await answer(prompt, data, outputType="date") == day


async def test_json_fits_its_schema() -> None:
    schema = {
        "type": "object",
        "required": ["name", "age", "level", "tags", "when", "ok", "kind", "inner", "fixed"],
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer", "maximum": 99},
            "level": {"enum": ["low", "high"]},
            "tags": {"type": "array", "items": {"type": "string"}},
            "when": {"type": "string", "format": "date"},
            "ok": {"type": "boolean"},
            "kind": {"type": "string", "default": "person"},
            "inner": {"type": "object", "properties": {"x": {"type": ["null", "string"]}}},
            "fixed": {"const": 3},
            "unasked": {"type": "string"},
        },
        "additionalProperties": False,
    }
    data = {"name": "Ada", "age": "150", "level": "high", "born": "2001-02-03"}
    config = {"outputType": "json", "llmSchema": schema}
    assert await answer("Describe", data, **config) == {
        "name": "Ada",
        "age": 99,
        "level": "high",
        "tags": [],
        "when": "2001-02-03",
        "ok": False,
        "kind": "person",
        "inner": {"x": None},
        "fixed": 3,
    }
    assert await answer("Hello", {}, outputType="json") == {"answer": "Hello"}


async def test_a_schema_beyond_the_rules_is_not_met() -> None:
    schema = {"type": "array", "minItems": 2}
    config = {"prompt": "Q", "llmModel": "offline/echo", "outputType": "json", "llmSchema": schema}
    assert (await failed("llm", config)).code == "llm_output_invalid"


async def test_words_are_counted_as_tokens_and_rows_are_answered() -> None:
    config = {"prompt": "Say {{ w }}", "llmModel": "offline/echo", "processingMode": "perRow"}
    outcome = await completed("llm", config, [{"w": "a b"}, {"w": "c"}])
    assert outcome.output["response"] == ["Say a b", "Say c"]
    assert outcome.details["usage"] == {
        "promptTokens": 5,
        "completionTokens": 5,
        "totalTokens": 10,
    }
    assert outcome.details["model"] == "offline/echo"


async def test_the_input_can_be_left_out() -> None:
    config = {"outputType": "number", "llmIncludeInput": False}
    assert await answer("7 days", {"n": 9}, **config) == 7
