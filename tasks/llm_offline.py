"""`offline/echo`: a model that needs no key and no network, and always answers the same.

It answers by rules, for trying a workflow out and for tests:

- The *data* are all values of the input (not its keys), in order, as text; nothing if
  `llmIncludeInput` is off. The *question* is the prompt without its rule lines.
- text: the last line of the prompt that is not empty.
- number: the first number in the data, or else in the question, or else 0.
- date: the first date written YYYY-MM-DD in the data, or else in the question, or else 1970-01-01.
- enum: a line `option: word, word` of the prompt is a rule for that option. The option whose
  words occur most often in the data (in the question if there are no data) wins; without a hit
  the option that is itself named most often there, then the one named most often in the
  question; then the first option. The earlier option wins a tie. Words are whole words, in any
  case.
- json: without a schema `{"answer": <the text>}`. With one, a value that fits: `const`, the
  first of `enum`, the `default`; an object has its required properties (all if none is required),
  each taken from the input's field of that name where it has the right type; numbers follow the
  rule above and stay within `minimum` and `maximum`; other text is the text above; true or false
  is false, a list is empty, null is null.

Tokens are counted in words.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import orjson

from tasks.llm_client import Answer
from tasks.llm_config import LlmConfig

OFFLINE_MODEL = "offline/echo"

_NUMBER = re.compile(r"(?<![\w.])-?[0-9]{1,15}(?:\.[0-9]{1,15})?(?![\w]|\.[0-9])")
_DATE = re.compile(r"(?<![0-9])[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}
_DEEPEST = 16


def offline_answer(config: LlmConfig, data: Any) -> Answer:
    """Answer a rendered question about the node's input."""
    text = _Offline(config, data).answer()
    return Answer(text, len(config.prompt.split()), len(text.split()), OFFLINE_MODEL)


class _Offline:
    def __init__(self, config: LlmConfig, data: Any) -> None:
        self._config = config
        self._input = data if config.include_input else None
        self._rules, self._question = _rules_and_question(config)
        self._data = " ".join(_values(self._input, 0))

    def answer(self) -> str:
        match self._config.output_type:
            case "text":
                return self._echo()
            case "number":
                return orjson.dumps(self._number()).decode()
            case "date":
                return self._date()
            case "enum":
                return self._option()
            case "json":
                return orjson.dumps(self._json()).decode()

    def _echo(self) -> str:
        lines = [line.strip() for line in self._config.prompt.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def _number(self) -> int | float:
        found = _NUMBER.search(self._data) or _NUMBER.search(self._question)
        return orjson.loads(_plain(found.group())) if found else 0

    def _date(self) -> str:
        for found in (*_DATE.findall(self._data), *_DATE.findall(self._question)):
            try:
                return date.fromisoformat(found).isoformat()
            except ValueError:
                continue
        return "1970-01-01"

    def _option(self) -> str:
        options = self._config.options
        text = self._data or self._question
        by_rule = {o: sum(_count(word, text) for word in self._rules.get(o, ())) for o in options}
        named = {option: _count(option, text) for option in options}
        asked = {option: _count(option, self._question) for option in options}
        for hits in (by_rule, named, asked):
            best = max(options, key=lambda option: hits[option])
            if hits[best]:
                return best
        return options[0]

    def _json(self) -> Any:
        schema = self._config.answer_schema
        if schema is None:
            return {"answer": self._echo()}
        return self._fitting(schema, self._input, 0)

    def _fitting(self, schema: Any, given: Any, depth: int) -> Any:
        """Return a value for a schema; `given` is the input's value at the same place."""
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return None
        if "const" in schema:
            return schema["const"]
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, given, depth)
        if _has_type(given, kind) and ("enum" not in schema or given in schema["enum"]):
            return given
        if schema.get("enum"):
            return schema["enum"][0]
        return schema["default"] if "default" in schema else self._simple(kind, schema)

    def _object(self, schema: dict[str, Any], given: Any, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        fields = given if isinstance(given, Mapping) else {}
        names = schema.get("required") or list(properties)
        return {
            name: self._fitting(properties.get(name, {}), fields.get(name), depth + 1)
            for name in names
        }

    def _simple(self, kind: str, schema: dict[str, Any]) -> Any:
        match kind:
            case "number" | "integer":
                return _within(self._number(), schema, whole=kind == "integer")
            case "boolean":
                return False
            case "array":
                return []
            case "null":
                return None
            case _:
                return self._date() if schema.get("format") == "date" else self._echo()


def _rules_and_question(config: LlmConfig) -> tuple[dict[str, list[str]], str]:
    """Tell the rule lines of a prompt from the rest of it."""
    names = {option.strip().casefold(): option for option in config.options}
    rules: dict[str, list[str]] = {}
    question = []
    for line in config.prompt.splitlines():
        head, colon, tail = line.partition(":")
        option = names.get(head.strip(" \t-*•\"'").casefold())
        if colon and option is not None and tail.strip():
            words = (word.strip(" \t.\"'") for word in tail.split(","))
            rules.setdefault(option, []).extend(word for word in words if word)
        else:
            question.append(line)
    return rules, "\n".join(question)


def _values(data: Any, depth: int) -> Iterator[str]:
    """Yield the values of the input as text, in order."""
    if depth > _DEEPEST:
        return
    if isinstance(data, Mapping):
        data = list(data.values())
    if isinstance(data, list):
        for item in data:
            yield from _values(item, depth + 1)
    elif isinstance(data, str):
        yield data
    elif data is not None:
        yield orjson.dumps(data).decode()


def _count(word: str, text: str) -> int:
    whole = rf"(?<!\w){re.escape(word.strip())}(?!\w)"
    return len(re.findall(whole, text, re.IGNORECASE)) if word.strip() else 0


def _plain(number: str) -> str:
    """Return a number as JSON spells it: without leading zeros."""
    sign = "-" if number.startswith("-") else ""
    digits = number.lstrip("-").lstrip("0")
    return sign + (digits if digits[:1].isdigit() else f"0{digits}")


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return str(kind[0]) if isinstance(kind, list) and kind else str(kind)


def _has_type(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return False
    return value is not None and isinstance(value, _TYPES.get(kind, str))


def _within(number: int | float, schema: dict[str, Any], *, whole: bool) -> int | float:
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(low, int | float):
        number = max(number, low)
    if isinstance(high, int | float):
        number = min(number, high)
    return round(number) if whole else number
