"""The values that a template works with: JSON and dates. Never an attribute of a Python object."""

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from core.templates.errors import TemplateError, cannot, clip, limit_reached
from core.templates.limits import CHUNK, ITEM, MAX_INTEGER, Run

_WHOLE_FLOAT = 1e15  # beyond it a float no longer holds every whole number
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Missing:
    """Stands for what is not there: `path` as asked for, `gone` its first part that is missing.

    Only the `default` filter and the tests `defined` and `undefined` take it.
    """

    __slots__ = ("gone", "path")

    def __init__(self, path: str, gone: str | None = None) -> None:
        self.path = path
        self.gone = gone or path

    def error(self) -> TemplateError:
        """Build the error that names the path."""
        message = f'"{clip(self.path)}" is not defined'
        if self.gone != self.path:
            message += f': there is no "{clip(self.gone)}"'
        return TemplateError("template_undefined", message + ".", construct=clip(self.path))


class _Absent:
    """Stands for: no such key, since null is a value."""

    __slots__ = ()


ABSENT = _Absent()


def member(value: Any, key: Any) -> Any:
    """Return the item of a mapping, list or text by key or index, or `ABSENT`.

    A list takes an index also as a text of digits, a mapping a text key also as a number, so
    that `items.0` and `nodes.5` read as they look. Nothing else has members.
    """
    if isinstance(value, Mapping):
        return _mapping_member(value, key)
    if isinstance(value, list | tuple | str):
        return _indexed_member(value, key)
    return ABSENT


def _mapping_member(value: Mapping[Any, Any], key: Any) -> Any:
    if type(key) is not str and type(key) is not int:
        raise cannot(f"A key is a text or a whole number, not {kind(key)}.")
    try:
        return value[key]
    except KeyError:
        return member(value, str(key)) if type(key) is int else ABSENT


def _indexed_member(value: Any, key: Any) -> Any:
    if type(key) is str and key.isascii() and key.isdigit() and len(key) < 10:
        key = int(key)
    if type(key) is int and -len(value) <= key < len(value):
        return value[key]
    return ABSENT


def field(record: Any, path: str) -> Any:
    """Return what `path` names in a record, or `ABSENT`.

    A key that is exactly `path` wins; else the path is read as keys with dots between them.
    """
    if isinstance(record, Mapping):
        literal = member(record, path)
        if literal is not ABSENT:
            return literal
    for part in path.split("."):
        record = member(record, part)
        if record is ABSENT:
            return ABSENT
    return record


def kind(value: Any) -> str:
    """Name the type of a value in words for a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    for types, name in (
        ((int, float), "a number"),
        (str, "a text"),
        (Mapping, "an object"),
        ((list, tuple), "a list"),
        ((date, time), "a date"),
    ):
        if isinstance(value, types):
            return name
    return "no JSON value"


def is_number(value: Any) -> bool:
    """Tell whether a value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def bounded(value: int | float) -> int | float:
    """Return a number that every store can hold. Raises `template_limit` for any other."""
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and -MAX_INTEGER <= value <= MAX_INTEGER:
        return value
    raise limit_reached("The number is too large.")


def text(run: Run, value: Any) -> str:
    """Put a value into words: null is empty, true and false as in JSON, 5.0 is `5`.

    Lists and objects are compact JSON, dates are ISO 8601.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < _WHOLE_FLOAT
        return str(int(value)) if whole else repr(value)
    if isinstance(value, date | time):
        return value.isoformat()
    return dump(run, value)


def dump(run: Run, value: Any, indent: int | None = None) -> str:
    """Return a value as JSON, compact unless `indent` is given (in spaces)."""
    weigh(run, value, share=1)
    separators = (",", ":") if indent is None else (",", ": ")
    result = json.dumps(
        value,
        ensure_ascii=False,
        allow_nan=False,
        separators=separators,
        indent=indent,
        default=_plain,
    )
    run.make(len(result))
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, date | time):
        return value.isoformat()
    raise cannot("A value that is not JSON cannot be put into a text.")


def weigh(run: Run, value: Any, share: int = CHUNK) -> None:
    """Pay for a visit to all of a value: `ITEM` each, a text by `share` characters a unit."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        run.spend(ITEM)
        if isinstance(item, str):
            run.spend(len(item) // share)
        elif isinstance(item, Mapping):
            run.spend(len(item))
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            run.spend(len(item))
            waiting.extend(item)


def timestamp(value: Any) -> datetime | date:
    """Read a date: ISO 8601 text, or seconds since 1970 (UTC). Raises `template_error`."""
    if isinstance(value, date):
        return value
    try:
        if isinstance(value, str):
            return datetime.fromisoformat(value.strip())
        if is_number(value):
            return _EPOCH + timedelta(seconds=value)
    except (ValueError, OverflowError):
        pass
    raise cannot(f"This is not a date: {clip(value) if isinstance(value, str) else kind(value)}.")
