"""Rules for the headers of a request: which may be set, and how they may be written."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.expressions import is_template
from tasks.config_messages import config_error

MAX_HEADERS = 100
MAX_HEADER_VALUE = 8192
"""Bytes."""

_FRAMING_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")

Headers = tuple[tuple[str, str], ...]
Scalar = str | int | float | bool | None
Fault = tuple[str, str]
"""A code and a sentence."""


def header_faults(headers: Headers, *, templates: bool = False) -> list[Fault]:
    """Return what is wrong with headers; `templates` says that some are not rendered yet."""
    if len(headers) > MAX_HEADERS:
        return [("header_invalid", f"There are more than {MAX_HEADERS} headers.")]
    return [
        fault
        for name, value in headers
        for fault in (
            *(() if templates and is_template(name) else name_faults(name)),
            *(() if templates and is_template(value) else value_faults(name, value)),
        )
    ]


def name_faults(name: str) -> Iterator[Fault]:
    """Yield what is wrong with the name of a header."""
    if not _TOKEN.fullmatch(name):
        yield "header_invalid", f"{_shown(name)} is not a valid name of a header."
    elif name.lower() in _FRAMING_HEADERS:
        yield "header_forbidden", f"The header {_shown(name)} is set by the service itself."


def value_faults(name: str, value: str) -> Iterator[Fault]:
    """Yield what is wrong with the value of a header."""
    if _CONTROL.search(value):
        message = f"The value of the header {_shown(name)} holds a control character."
        yield "header_invalid", message
    elif len(value.encode()) > MAX_HEADER_VALUE:
        message = f"The value of the header {_shown(name)} is longer than {MAX_HEADER_VALUE} bytes."
        yield "header_invalid", message


def header_pairs(given: Any) -> Iterator[tuple[str, str]]:
    """Read `{name: value}` or `[{"key": name, "value": value}]`."""
    if isinstance(given, Mapping):
        given = [{"key": key, "value": value} for key, value in given.items()]
    if not isinstance(given, list | tuple | None):
        message = 'The headers must be an object, or a list of objects with "key" and "value".'
        raise config_error("header_invalid", message)
    for item in given or ():
        yield _header_pair(item)


def _header_pair(item: Any) -> tuple[str, str]:
    if isinstance(item, Mapping) and set(item) == {"key", "value"}:
        name, value = item["key"], item["value"]
    elif isinstance(item, tuple) and len(item) == 2:
        name, value = item
    else:
        raise config_error("header_invalid", 'Each header must have just "key" and "value".')
    if not isinstance(name, str) or not isinstance(value, str | int | float):
        raise config_error("header_invalid", "The value of a header must be text or a number.")
    return name, scalar_text(value).strip(" \t")


def scalar_text(value: Scalar) -> str:
    """Return a scalar as it is written into a header or a query: `true`, not `True`."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and not math.isinf(value):
            return str(int(value))
        case _:
            return str(value)


def _shown(text: str) -> str:
    return f'"{text[:64]}"'
