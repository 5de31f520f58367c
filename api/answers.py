"""Answers made of bytes: what we answer is JSON already, and needs no second look."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response


def json_answer(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer that holds a value as JSON."""
    return Response(orjson.dumps(value), status, headers, "application/json")


def stored_json(text: str | None, *, ours: bool) -> Any:
    """Return a JSON text of the database to be put into an answer as it is.

    What another application wrote may not be JSON: it is then shown as text.
    """
    if text is None:
        return None
    if not ours:
        try:
            return orjson.loads(text)
        except ValueError:
            return text
    return orjson.Fragment(text)
