"""What a chaos run saw from outside: what clients asked for, what was done to the service."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

DeedKind = Literal["kill api", "kill worker", "kill prefect", "freeze", "lock", "postgres"]


@dataclass(slots=True)
class Asked:
    """A start that a client asked for. Times are seconds since 1970."""

    key: str
    workflow_id: str
    inputs: dict[str, Any]
    ids: list[str] = field(default_factory=list)
    """The execution ids that 2xx answers named: all the same one."""
    accepted_at: float | None = None
    cancelled_at: float | None = None
    """When an answer said that the cancel was accepted."""
    seen: str | None = None
    """A final status that a poll has shown."""


@dataclass(slots=True)
class Deed:
    """Something done to the service: `seconds` is how long it lasted, `pid` whom it hit."""

    kind: DeedKind
    at: float
    pid: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the target received. `key` is the execution's id, the node's and a number."""

    key: str
    idempotency_key: str | None
    path: str


@dataclass(slots=True)
class Observations:
    """Everything that the checker needs beside the database."""

    asked: list[Asked] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    probes: list[tuple[float, bool]] = field(default_factory=list)
    """When the API was asked for its health, and whether it answered."""
    complaints: list[str] = field(default_factory=list)
    """Answers that clients should not have got."""
    refused: int = 0
    """Malformed documents that were refused."""

    @property
    def accepted(self) -> dict[str, Asked]:
        """What was accepted, by execution id."""
        return {asked.ids[0]: asked for asked in self.asked if asked.ids}

    def save(self, file: Path) -> None:
        """Write everything as JSON."""
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")
