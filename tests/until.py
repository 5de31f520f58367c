"""Waiting for something to become true, with a limit and a name."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(
    predicate: Callable[[], Awaitable[T]], what: str, seconds: float = 20.0, every: float = 0.01
) -> T:
    """Return the predicate's first true answer; fail with `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = await predicate()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}; last: {found!r}")
        await asyncio.sleep(every)
