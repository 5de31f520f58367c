"""What may leave a node: JSON, of a bounded size."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from core.errors import NodeError
from tasks.outcomes import Completed, Outcome


def checked(outcome: Outcome, limit: int) -> Outcome:
    """Return an outcome whose values are plain JSON of at most `limit` bytes each.

    Raises `NodeError` with the code `output_invalid` or `payload_too_large`.
    """
    if not isinstance(outcome, Completed):
        return outcome
    return replace(
        outcome,
        output=_bounded(outcome.output, limit),
        by_port={port: _bounded(value, limit) for port, value in outcome.by_port.items()},
        details=_bounded(outcome.details, limit),
    )


def _bounded(value: Any, limit: int) -> Any:
    normal, size = normal_form(value)
    if size > limit:
        message = f"The output has {size} bytes as JSON, more than the limit of {limit}."
        raise NodeError(message, code="payload_too_large")
    return normal


def normal_form(value: Any) -> tuple[Any, int]:
    """Return a value as it is read back from JSON, and its size in bytes. Raises as `as_json`."""
    encoded = as_json(value)
    return orjson.loads(encoded), len(encoded)


def as_json(value: Any) -> bytes:
    """Return a value as JSON.

    Tuples become lists, dates ISO text, keys text. What JSON cannot hold (NaN and infinity,
    bytes, integers beyond 64 bits, lone surrogates, objects, more than 254 levels) raises
    `NodeError` with the code `output_invalid`: a silent change of a value would be worse.
    """
    if isinstance(value, Mapping) and not isinstance(value, dict):
        value = dict(value)
    try:
        encoded = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"The output cannot be written as JSON: {error}."
        raise NodeError(message, code="output_invalid") from None
    # orjson writes NaN and infinity as null: only where there is a null is it worth a look.
    if b"null" in encoded and _has_nonfinite(value):
        message = "The output cannot be written as JSON: it holds NaN or infinity."
        raise NodeError(message, code="output_invalid")
    return encoded


def _has_nonfinite(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_nonfinite, value.values())) or any(map(_has_nonfinite, value))
    if isinstance(value, list | tuple):
        return any(map(_has_nonfinite, value))
    return False
