"""Collects what is wrong with a document: every problem once, in order, up to a limit."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import Problem

QUOTED = 64
"""The most characters of a user's value that a message repeats."""

MAX_DEPTH = 64
"""The deepest nesting of lists and objects inside one field."""

LONGEST_KEY = 128
"""A longer key is not put into a pointer: the pointer then ends at the object that holds it."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def quote(value: Any) -> str:
    """Return the beginning of `value` in quotation marks, with what cannot be seen escaped."""
    text = value if isinstance(value, str) else _brief(value)
    if len(text) <= QUOTED and text.isprintable():
        return f'"{text}"'
    shown = text[:QUOTED]
    safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)[:QUOTED]
    return f'"{safe}{"…" if len(text) > len(shown) or len(safe) < len(shown) else ""}"'


def quote_all(values: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    """Return the values quoted and parted by commas."""
    return ", ".join(quote(value) for value in values)


def _brief(value: Any) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case int() if value.bit_length() > 256:
            return "a very large integer"
        case int() | float():
            return repr(value)
        case Mapping():
            return "an object"
        case list() | tuple():
            return "an array"
    return type(value).__name__


def child(pointer: str, key: object) -> str:
    """Return the JSON pointer (RFC 6901) of `key` inside `pointer`."""
    token = str(key)
    if len(token) > LONGEST_KEY or _SURROGATE.search(token):
        return pointer
    return f"{pointer}/{token.replace('~', '~0').replace('/', '~1')}"


@dataclass(slots=True)
class Findings:
    """The problems found so far: at most `limit` errors and `limit` warnings are kept.

    `failed` says that there is an error, kept or not.
    """

    limit: int
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    dropped: bool = False
    failed: bool = False

    def add(self, problem: Problem) -> None:
        """Keep the problem, unless there are enough of its kind."""
        is_error = problem.severity == "error"
        self.failed |= is_error
        kept = self.errors if is_error else self.warnings
        if len(kept) < self.limit:
            kept.append(problem)
        else:
            self.dropped = True

    @property
    def full(self) -> bool:
        """Tell whether another error would be dropped."""
        return len(self.errors) >= self.limit

    def problems(self) -> tuple[Problem, ...]:
        """Return the errors, then the warnings, in the order found, `limit` of them in all."""
        return tuple((self.errors + self.warnings)[: self.limit])

    @property
    def truncated(self) -> bool:
        """Tell whether `problems` leaves any out."""
        return self.dropped or len(self.errors) + len(self.warnings) > self.limit


@dataclass(slots=True, eq=False)
class Place:
    """Where in the document a reader is (`path`, keys from its top), and whose node that is.

    The pointer is made only when something is wrong: documents have far more places than problems.
    """

    findings: Findings
    path: tuple[object, ...] = ()
    node_id: str | None = None

    @property
    def pointer(self) -> str:
        """The JSON pointer (RFC 6901) of this place."""
        pointer = ""
        for key in self.path:
            pointer = child(pointer, key)
        return pointer

    def at(self, *keys: object) -> "Place":
        """Return the place of `keys`, one inside the other."""
        return Place(self.findings, self.path + keys, self.node_id)

    def of(self, node_id: str | None) -> "Place":
        """Return the same place as that of a node."""
        return Place(self.findings, self.path, node_id)

    def error(self, code: str, message: str) -> None:
        """Record an error here."""
        self.findings.add(Problem(code, message, self.pointer, self.node_id))

    def warning(self, code: str, message: str) -> None:
        """Record a warning here."""
        self.findings.add(Problem(code, message, self.pointer, self.node_id, "warning"))

    def adopt(self, problem: Problem) -> None:
        """Record a problem whose pointer is relative to this place."""
        pointer = f"{self.pointer}{problem.pointer}"
        node_id = self.node_id if problem.node_id is None else problem.node_id
        self.findings.add(
            Problem(problem.code, problem.message, pointer, node_id, problem.severity)
        )


_Path = tuple[Any, ...]


def descend(value: Any, max_depth: int = MAX_DEPTH) -> Iterator[tuple[_Path, Any]]:
    """Yield every value inside `value`, itself first, with its path of keys, in document order.

    A list or object nested `max_depth` deep is yielded and not entered.
    """
    stack: list[tuple[_Path, Any]] = [((), value)]
    while stack:
        path, item = stack.pop()
        yield path, item
        if len(path) >= max_depth:
            continue
        if isinstance(item, Mapping):
            stack.extend([((*path, key), inner) for key, inner in item.items()][::-1])
        elif isinstance(item, list | tuple):
            stack.extend([((*path, index), item[index]) for index in range(len(item))][::-1])


def check_size(place: Place, value: Any, max_string: int, *, numbers: bool = True) -> bool:
    """Record what no field may hold, and tell whether `value` is free of it.

    That is: a string or key that is too long or holds NUL or half a surrogate pair, nesting that
    is too deep and, unless `numbers` is false, NaN and infinity.
    """
    sound = True
    for path, item in descend(value):
        for code, message in _unfit(item, len(path), max_string, numbers=numbers):
            sound = False
            place.at(*path).error(code, message)
    return sound


def _unfit(item: Any, depth: int, max_string: int, *, numbers: bool) -> Iterator[tuple[str, str]]:
    if isinstance(item, str):
        yield from string_faults(item, max_string)
    elif isinstance(item, float):
        if numbers and not math.isfinite(item):
            yield "json_nonfinite", "NaN and infinity are not JSON: write a number or null."
    elif isinstance(item, Mapping):
        for key in item:
            yield from string_faults(str(key), max_string)
    if depth >= MAX_DEPTH and isinstance(item, Mapping | list | tuple) and item:
        yield "json_too_deep", f"This is nested more than {MAX_DEPTH} levels deep: flatten it."


def string_faults(text: str, longest: int) -> Iterator[tuple[str, str]]:
    """Yield code and message of what is wrong with a string as such."""
    if len(text) > longest:
        yield (
            "string_too_long",
            f"This string has {len(text):,} characters: the limit is {longest:,}.",
        )
    if "\0" in text:
        yield "string_nul", "This string holds the character NUL (U+0000): remove it."
    if not text.isascii() and _SURROGATE.search(text):
        yield (
            "string_invalid_unicode",
            "This string holds half of a surrogate pair, which is not Unicode: remove it.",
        )
