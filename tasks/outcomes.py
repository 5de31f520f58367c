"""What a node comes to. Outcomes are values; faults inside a node are `NodeError`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import Failure


@dataclass(frozen=True, slots=True)
class Completed:
    """The node has a result.

    `output` is any JSON value and goes to every connection that leaves through one of `ports`.
    `by_port` gives single ports a value of their own. `details` is shown beside the result in
    the logs (`statusCode`, `conditionResult`, `usage`, …) and never flows on.
    """

    output: Any
    ports: tuple[str, ...] = ("out",)
    by_port: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def value_for(self, port: str) -> Any:
        """Return what flows through `port`."""
        return self.by_port.get(port, self.output)


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed."""

    failure: Failure


Outcome = Completed | Failed
