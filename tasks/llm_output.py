"""The typed answer of a model: how it is asked for, and how it is read."""

import math
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import orjson

from tasks.llm_config import LlmConfig
from tasks.llm_schema import mismatch

_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?"
)


class WrongAnswer(Exception):
    """The answer is not of the kind that was asked for; the text says why, for the model."""


def instruction(config: LlmConfig) -> str:
    """Return the sentence that asks a model for the kind of answer."""
    match config.output_type:
        case "text":
            return ""
        case "number":
            return "Answer with one number in digits and nothing else."
        case "date":
            return "Answer with one date as YYYY-MM-DD and nothing else."
        case "enum":
            options = orjson.dumps(config.options).decode()
            return f"Answer with exactly one of these options and nothing else: {options}"
        case "json":
            schema = config.answer_schema
            fits = f" that fits this JSON Schema: {orjson.dumps(schema).decode()}" if schema else ""
            return f"Answer with one JSON value and nothing else{fits}"


def read_answer(text: str, config: LlmConfig) -> Any:
    """Return an answer as the value that was asked for. Raises `WrongAnswer`.

    A number is an int or a float, a date is `YYYY-MM-DD`, an enum answer is the option as it was
    written in the configuration.
    """
    return _READERS[config.output_type](text, config)


def _text(text: str, _config: LlmConfig) -> str:
    return text


def _number(text: str, _config: LlmConfig) -> int | float:
    bare = text.strip()
    number = float(bare) if _NUMBER.fullmatch(bare) else math.nan
    if not math.isfinite(number):
        raise WrongAnswer("The answer must be one number in digits and nothing else.")
    return int(bare) if bare.lstrip("+-").isdigit() and abs(number) < 2**53 else number


def _date(text: str, _config: LlmConfig) -> str:
    bare = text.strip().strip('".')
    try:
        return date.fromisoformat(bare[:10] if bare[10:11] == "T" else bare).isoformat()
    except ValueError:
        raise WrongAnswer("The answer must be one date as YYYY-MM-DD and nothing else.") from None


def _enum(text: str, config: LlmConfig) -> str:
    bare = text.strip()
    for spelling in (bare, bare.strip("\"'`*. ")):
        for option in config.options:
            if spelling.casefold() == option.strip().casefold():
                return option
    options = orjson.dumps(config.options).decode()
    raise WrongAnswer(f"The answer must be exactly one of {options} and nothing else.")


def _json(text: str, config: LlmConfig) -> Any:
    try:
        value = orjson.loads(_unfenced(text))
    except orjson.JSONDecodeError as error:
        raise WrongAnswer(f"The answer is not valid JSON: {error}") from None
    wrong = mismatch(value, config.answer_schema) if config.answer_schema is not None else None
    if wrong:
        raise WrongAnswer(f"The answer does not fit the JSON Schema. {wrong}")
    return value


def _unfenced(text: str) -> str:
    """Take off the code fence that many models put around JSON."""
    bare = text.strip()
    if bare.startswith("```") and bare.endswith("```") and "\n" in bare:
        return bare.split("\n", 1)[1].removesuffix("```")
    return bare


_READERS: dict[str, Callable[[str, LlmConfig], Any]] = {
    "text": _text,
    "number": _number,
    "date": _date,
    "enum": _enum,
    "json": _json,
}
