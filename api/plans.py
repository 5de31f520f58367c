"""Documents compiled for starting, kept by their content: the same text compiles once."""

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.json_body import LARGE_BODY
from api.refusals import invalid_document
from core.catalogue import Catalogue
from core.errors import Problem
from core.graph import Compiled, Limits, compile_document
from core.plan import Plan, PlanSettings
from store.payloads import decode

KEPT = 512


@dataclass(frozen=True, slots=True)
class Runnable:
    """What starting an execution needs to know of its document."""

    nodes: tuple[str, ...]
    settings: PlanSettings


class Plans:
    """Compiles documents, and remembers those that were started last (from any thread)."""

    def __init__(self, catalogue: Catalogue, limits: Limits, *, lenient: bool) -> None:
        self._catalogue = catalogue
        self._limits = limits
        self._lenient = lenient
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Runnable] = OrderedDict()

    def known(self, text: str) -> Runnable | None:
        """Return what is remembered of a document's text, or `None`."""
        key = _key(text)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    async def learn(self, text: str) -> None:
        """Compile a stored document, so that `known` knows it. Raises `InvalidDocument`."""
        plan = await self.plan(text)
        found = Runnable(tuple(plan.nodes), plan.settings)
        with self._lock:
            self._kept[_key(text)] = found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    async def plan(self, text: str) -> Plan:
        """Return the plan of a stored document. Raises `InvalidDocument`."""
        compiled = await _apart(len(text), self._compile_text, text)
        if compiled.plan is None:
            raise invalid_document(compiled.errors, truncated=compiled.truncated)
        return compiled.plan

    async def compile(self, document: Any, size: int) -> Compiled:
        """Compile a document; `size` is roughly that of its text."""
        return await _apart(size, self._compile, document)

    async def check(self, document: Any, size: int, place: str) -> Sequence[Problem]:
        """Return a document's warnings. Raises `InvalidDocument`, with pointers from `place`."""
        compiled = await self.compile(document, size)
        if compiled.plan is None:
            raise invalid_document(compiled.errors, truncated=compiled.truncated, place=place)
        return compiled.warnings

    def _compile(self, document: Any) -> Compiled:
        return compile_document(document, self._catalogue, self._limits, self._lenient)

    def _compile_text(self, text: str) -> Compiled:
        try:
            document = decode(text)
        except ValueError:
            message = "The stored document is not JSON: save the workflow again."
            return Compiled(None, (Problem("json_malformed", message),), truncated=False)
        return self._compile(document)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


async def _apart(size: int, function: Any, argument: Any) -> Compiled:
    """Call a function at once, or in a thread where it may take long."""
    if size < LARGE_BODY:
        return function(argument)  # type: ignore[no-any-return]
    return await asyncio.to_thread(function, argument)
