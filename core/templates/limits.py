"""How much one template may do. Every operation pays for its size from one account."""

from collections.abc import Mapping
from typing import Any

from core.templates.errors import limit_reached

MAX_TEMPLATE = 16 * 1024  # characters of a template
MAX_BRACKETS = 32  # brackets inside brackets: what the parser's recursion can bear
MAX_DEPTH = 100  # operations inside operations
MAX_NODES = 4_000  # parts of a template
MAX_TEXT = 1024 * 1024  # characters of one text, and of a whole output
MAX_WORK = 4 * MAX_TEXT  # units: a character made is 1, an item visited is ITEM
MAX_LOOP = 1_000  # items of one loop
MAX_LOOP_DEPTH = 2
MAX_ITERATIONS = 10_000  # of all loops together
MAX_INTEGER = 2**63 - 1  # what every database and JSON library can hold
ITEM = 8
CHUNK = 64  # characters that are compared or searched for one unit


class Run:
    """One rendering: the values that it may read, and what is left of its limits.

    `local` holds the loop variables, by slots that the compiler hands out.
    """

    __slots__ = ("iterations", "local", "output", "scope", "work")

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self.scope = scope
        self.local: dict[str, Any] = {}
        self.work = MAX_WORK
        self.output = MAX_TEXT
        self.iterations = MAX_ITERATIONS

    def spend(self, units: int) -> None:
        """Pay for work before it is done. Raises `template_limit`."""
        self.work -= units
        if self.work < 0:
            raise limit_reached("This template needs too much work for its values.")

    def make(self, length: int) -> None:
        """Pay for a text of `length` characters before it is made. Raises `template_limit`."""
        if length > MAX_TEXT:
            raise limit_reached(f"A template cannot make a text of over {MAX_TEXT} characters.")
        self.spend(length)

    def emit(self, text: str) -> str:
        """Count `text` as a part of the output. Raises `template_limit`."""
        self.output -= len(text)
        if self.output < 0:
            raise limit_reached(f"The result is larger than {MAX_TEXT} characters.")
        return text

    def iterate(self, count: int) -> None:
        """Pay for a loop over `count` items. Raises `template_limit`."""
        if count > MAX_LOOP:
            raise limit_reached(f"A loop cannot go over more than {MAX_LOOP} items, not {count}.")
        self.iterations -= count
        if self.iterations < 0:
            raise limit_reached(f"The loops go round more than {MAX_ITERATIONS} times in all.")
