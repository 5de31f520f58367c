"""What every node may say beside its own configuration: retries, timeout, what failure means."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

OnError = Literal["stop", "continue", "route"]


class _NotPinned:
    """Stands for: no pinned data, since null is a value."""

    __slots__ = ()


NOT_PINNED = _NotPinned()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a failed attempt is followed by another.

    `attempts` counts all attempts, the first included. `delay` is in seconds; attempt n waits
    `delay * backoff ** (n - 1)`, at most `max_delay`, plus up to `jitter` of itself at random.
    `on` lists error codes; empty means every failure that is marked retryable.
    """

    attempts: int = 1
    delay: float = 1.0
    backoff: float = 2.0
    jitter: float = 0.1
    max_delay: float = 300.0
    on: frozenset[str] = frozenset()

    def wait(self, attempt: int, asked: float | None = None, spread: float | None = None) -> float:
        """Return the seconds to wait after failed attempt number `attempt` (from 1).

        `asked` is what the other side asked for (`Retry-After`): the longer of both, at most
        `max_delay`. `spread` (0 to 1) replaces the random part.
        """
        share = random.random() if spread is None else spread  # noqa: S311 (not a secret)
        own = min(self.max_delay, self.delay * self.backoff ** (attempt - 1))
        return min(self.max_delay, max(own * (1 + self.jitter * share), asked or 0.0))

    def allows(self, attempt: int, code: str, *, retryable: bool) -> bool:
        """Tell whether another attempt follows failed attempt number `attempt`."""
        if attempt >= self.attempts:
            return False
        return code in self.on if self.on else retryable


@dataclass(frozen=True, slots=True)
class NodePolicy:
    """The common settings of one node. `None` leaves the choice to the node type."""

    retry: RetryPolicy | None = None
    timeout: float | None = None
    on_error: OnError = "stop"
    on_interrupt: Literal["retry", "fail"] = "retry"
    wait_for: Literal["all", "any"] | int = "all"
    disabled: bool = False
    pinned_data: Any = NOT_PINNED
    extra: Mapping[str, Any] = field(default_factory=dict)
