"""Settings in words: what is wrong with a value, and the commented file of all of them."""

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

_QUOTED_LENGTH = 64
_PHRASES = {
    "int_parsing": "is not a whole number",
    "int_parsing_size": "is too large",
    "int_from_float": "is not a whole number",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
    "bool_parsing": "is neither true nor false",
    "greater_than": "is too small: it must be more than {gt}",
    "greater_than_equal": "is too small: the least is {ge}",
    "less_than": "is too large: it must be less than {lt}",
    "less_than_equal": "is too large: the most is {le}",
    "literal_error": "is not one of {expected}",
    "value_error": "{error}",
}


def problem_sentences(errors: Iterable[ErrorDetails], fields: Mapping[str, FieldInfo]) -> list[str]:
    """Return one sentence per error: the variable, what is wrong with its value, an example.

    The error of a rule between settings must be such a sentence already. Secrets, and values
    that may hold a password (`user:password@host`), are not shown.
    """
    return [_sentence(error, fields) for error in errors]


def _sentence(error: ErrorDetails, fields: Mapping[str, FieldInfo]) -> str:
    context = {**error.get("ctx", {})}
    phrase = _PHRASES.get(error["type"], error["msg"].replace("{", "{{").replace("}", "}}"))
    text = phrase.format_map(context)
    name = str(error["loc"][0]) if error["loc"] else ""
    if name not in fields:
        return text
    field, variable = fields[name], name.upper()
    shown = "the value" if _is_secret(field, error["input"]) else _quoted(error["input"])
    return f"{variable}: {shown} {text}. Example: {variable}={example_value(field)}"


def _is_secret(field: FieldInfo, value: object) -> bool:
    return _mentions_secret(field.annotation) or "@" in str(value)


def _mentions_secret(annotation: Any) -> bool:
    inner = getattr(annotation, "__args__", ())
    return annotation is SecretStr or any(_mentions_secret(part) for part in inner)


def _quoted(value: object) -> str:
    text = str(value)
    shown = text if len(text) <= _QUOTED_LENGTH else text[: _QUOTED_LENGTH - 1] + "…"
    return json.dumps(shown, ensure_ascii=False)


def example_value(field: FieldInfo) -> str:
    """Return a right value for a field, as written in an environment file."""
    if field.examples:
        return str(field.examples[0])
    return written(field.default)


def written(value: object) -> str:
    """Return a value as it is written in an environment file; nothing for an unset one."""
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.as_posix() if isinstance(value, PurePath) else str(value)


def environment_file(fields: Mapping[str, FieldInfo], sections: Mapping[str, str]) -> str:
    """Return an environment file that shows every setting, commented out, with its default.

    `sections` gives the title of the section that a field opens.
    """
    lines = [
        "# Every setting, with its default. Copy this file to .env and take away the # of the",
        "# lines that you change. A variable of the environment comes before a line here.",
        "# An empty value means: not set.",
    ]
    for name, field in fields.items():
        if name in sections:
            lines += ["", "", f"# ---- {sections[name]} ".ljust(92, "-")]
        lines += ["", *_wrapped(field.description or "")]
        if field.examples:
            lines.append(f"# Example: {name.upper()}={example_value(field)}")
        lines.append(f"#{name.upper()}={written(field.default)}")
    return "\n".join(lines) + "\n"


def _wrapped(text: str, width: int = 90) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [f"# {line}" for line in lines]


def misspelt(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return the names that are no setting but look like one, each with the one it looks like.

    Names are compared in lower case.
    """
    all_known = [name.lower() for name in known]
    found = {}
    for name in names:
        near = difflib.get_close_matches(name.lower(), all_known, n=1, cutoff=0.8)
        if near and name.lower() not in all_known:
            found[name] = near[0].upper()
    return found
