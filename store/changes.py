"""What one worker wants to write about one execution, gathered until it is written at once."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from core.events import Event
from core.status import ExecutionStatus, NodeStatus, Reason, check_node_move
from store.clock import timestamp
from store.payloads import Stored, encode, payload_rows

NodeKey = tuple[str, int]
"""Node id and iteration."""

LOG_WORDS = {
    NodeStatus.RUNNING: "running",
    NodeStatus.COMPLETED: "completed",
    NodeStatus.FAILED: "error",
    NodeStatus.SKIPPED: "skipped",
    NodeStatus.CANCELLED: "cancelled",
}
"""What `execution_logs.status` calls a node's state."""


_ids = random.Random()  # noqa: S311 (no secret, and a tenth of what the kernel takes for one)


def log_id() -> str:
    """Return a new id of a log row: 16 hexadecimal digits."""
    return f"{_ids.getrandbits(64):016x}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to write to an execution: void once a higher epoch exists."""

    execution_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ends. `result` and `node_results` are JSON texts."""

    status: ExecutionStatus
    reason: Reason | None = None
    error: str | None = None
    result: str | None = None
    node_results: str | None = None


@dataclass(slots=True)
class Changes:
    """Events, log rows and node runs to be written in one transaction, in the order they came."""

    events: list[dict[str, Any]] = field(default_factory=list)
    logs: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    runs: dict[NodeKey, dict[str, Any]] = field(default_factory=dict)
    payloads: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    """Columns of the execution's row that are written along: see `statements.FACTS`."""
    ending: Ending | None = None

    def __bool__(self) -> bool:
        return bool(self.events)

    def add_event(self, event: Event, **values: Stored) -> None:
        """Append an event. `values` replace facts of it by values that are serialised already."""
        data = event.data()
        data.update({name: value.fragment for name, value in values.items()})
        references = [name for name, value in values.items() if value.hash is not None]
        if references:
            data["refs"] = references
        self.payloads += payload_rows(values.values())
        self.events.append(
            {
                "type": event.type,
                "nodeId": event.node,
                "at": timestamp(),
                "data": orjson.dumps(data).decode(),
            }
        )

    def log_text(self, value: Stored) -> str:
        """Return what a log row shows of a value, and keep the value itself if it is large."""
        self.payloads += payload_rows([value])
        return value.json.decode() if value.hash is None else orjson.dumps(value.fragment).decode()

    def add_log(self, row: dict[str, Any]) -> None:
        """Append a row of `execution_logs` that belongs to the event added last."""
        self.logs.append((len(self.events) - 1, {"id": log_id(), **row}))

    def count(self, status: NodeStatus) -> None:
        """Count a node that settled."""
        column = {
            NodeStatus.COMPLETED: "completedNodes",
            NodeStatus.FAILED: "failedNodes",
            NodeStatus.SKIPPED: "skippedNodes",
        }.get(status)
        if column is not None:
            for name in (column, "settledNodes"):
                self.counts[name] = self.counts.get(name, 0) + 1

    def numbered(self, first: int, execution_id: str, epoch: int) -> Iterator[dict[str, Any]]:
        """Yield the event rows, numbered from `first`."""
        for seq, event in enumerate(self.events, first):
            yield {"executionId": execution_id, "seq": seq, "epoch": epoch, **event}


@dataclass(slots=True)
class NodeRecord:
    """One node run as this worker knows it: the row that will be written."""

    node_id: str
    iteration: int = 0
    status: NodeStatus = NodeStatus.PENDING
    attempt: int = 0
    started_at: str | None = None
    completed_at: str | None = None
    duration: int | None = None
    ports: tuple[str, ...] = ()
    output: Stored | None = None
    port_outputs: Stored | None = None
    error: dict[str, Any] | None = None

    def move(self, after: NodeStatus) -> None:
        """Change the state. Raises `IllegalMove`."""
        check_node_move(self.status, after)
        self.status = after
        if after is NodeStatus.RUNNING:
            self.started_at = self.started_at or timestamp()
        else:
            self.completed_at = timestamp()

    def row(self) -> dict[str, Any]:
        """Return the whole row, for an update by its key."""
        return {
            "nodeId": self.node_id,
            "iteration": self.iteration,
            "status": self.status.value,
            "attempt": self.attempt,
            "startedAt": self.started_at,
            "completedAt": self.completed_at,
            "duration": self.duration,
            "ports": encode(self.ports).decode() if self.ports else None,
            "output": self.output.column if self.output else None,
            "portOutputs": self.port_outputs.column if self.port_outputs else None,
            "error": encode(self.error).decode() if self.error else None,
        }
