"""Query parameters of lists: how many, from where on, and which."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from api.refusals import invalid
from core.errors import Problem
from core.findings import child, quote
from core.status import ExecutionStatus
from store.clock import timestamp

DEFAULT_SIZE = 50
LARGEST_SIZE = 100
_LONGEST_CURSOR = 1000
Place = tuple[str, str]
"""`createdAt` and id of the last row that was seen."""


@dataclass(frozen=True, slots=True)
class Page:
    """How many rows, after which one."""

    limit: int
    after: Place | None


class Query:
    """The query parameters of a request; an empty one counts as absent.

    Readers raise `Unprocessable`. A parameter that is not in `known` is refused at once.
    """

    def __init__(self, request: Request, *known: str) -> None:
        self._given = request.query_params
        problems = [
            Problem("field_unknown", f"There is no parameter {quote(name)} here.", child("", name))
            for name in dict.fromkeys(self._given)
            if name not in known
        ]
        for name, value in self._given.multi_items():
            if "\0" in value:
                problems.append(Problem("string_nul", f"{quote(name)} holds NUL.", child("", name)))
        if problems:
            raise invalid(problems)

    def text(self, name: str) -> str | None:
        """Return a parameter as it is."""
        return self._given.get(name) or None

    def page(self, largest: int = LARGEST_SIZE) -> Page:
        """Return what `limit` and `cursor` say."""
        cursor = self.text("cursor")
        return Page(self._limit(largest), read_cursor(cursor) if cursor else None)

    def _limit(self, largest: int) -> int:
        given = self.text("limit")
        if given is None:
            return DEFAULT_SIZE
        if given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= largest:
            return int(given)
        message = f'"limit" must be a whole number from 1 to {largest}, not {quote(given)}.'
        raise invalid([Problem("page_size", message, "/limit")])

    def statuses(self) -> tuple[str, ...]:
        """Return the words of `status`, given several times or separated by commas."""
        words = [word for part in self._given.getlist("status") for word in part.split(",") if word]
        for word in words:
            if word not in set(ExecutionStatus):
                known = ", ".join(ExecutionStatus)
                message = f'"status" must be of {known}; it is {quote(word)}.'
                raise invalid([Problem("value_unknown", message, "/status")])
        return tuple(words)

    def moment(self, name: str) -> str | None:
        """Return a point in time as the database writes it; without a zone it is UTC."""
        given = self.text(name)
        if given is None:
            return None
        try:
            # A "+" that was not escaped arrives as a space.
            moment = datetime.fromisoformat(given.replace(" ", "+") if "T" in given else given)
            return timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            message = f'"{name}" must be a time such as 2026-01-31T23:59:59Z, not {quote(given)}.'
            raise invalid([Problem("time_invalid", message, child("", name))]) from None

    def period(self) -> tuple[str | None, str | None]:
        """Return `createdFrom` and `createdTo`."""
        begin, end = self.moment("createdFrom"), self.moment("createdTo")
        if begin is not None and end is not None and end < begin:
            message = '"createdTo" is before "createdFrom".'
            raise invalid([Problem("time_range", message, "/createdTo")])
        return begin, end


def cursor(place: Place) -> str:
    """Return a place as an opaque word."""
    return base64.urlsafe_b64encode("\n".join(place).encode()).rstrip(b"=").decode()


def read_cursor(word: str) -> Place:
    """Return the place of a cursor. Raises `Unprocessable` for one that we did not make."""
    try:
        padded = word + "=" * (-len(word) % 4)
        text = base64.b64decode(padded, b"-_", validate=True).decode()
        created_at, found, row_id = text.partition("\n")
        ours = found and "\0" not in text and cursor((created_at, row_id)) == word
        if ours and len(word) <= _LONGEST_CURSOR:
            return created_at, row_id
    except (binascii.Error, ValueError):
        pass
    message = f"{quote(word)} is not a cursor of this list: take the nextCursor of the page before."
    raise invalid([Problem("cursor_invalid", message, "/cursor")])


def next_cursor(rows: Sequence[dict[str, Any]], limit: int) -> str | None:
    """Return the cursor that leads on from a page, or `None` when it is the last one.

    `rows` may hold one more than `limit`: that one tells that there is another page.
    """
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return cursor((last["createdAt"] or "", last["id"]))
