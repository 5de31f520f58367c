"""Every event that can be appended to an execution's log: nothing else can.

An event is numbered (`seq`, dense from 1) and timed when it is stored. `data()` is what readers
get; sizes are bounded by `store.payloads`, which swaps a large value for a reference.
Durations are whole milliseconds.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """What just changed. Subclasses name their `type` and carry its facts."""

    type: ClassVar[str] = ""

    @property
    def node(self) -> str | None:
        """The id of the node that the event is about, if it is about one."""
        return None

    def data(self) -> dict[str, Any]:
        """The facts as JSON-ready keys in camelCase; absent facts are left out."""
        return {
            _camel(f.name): value
            for f in fields(self)
            if f.name != "node_id" and (value := getattr(self, f.name)) is not ABSENT
        }


class _Absent:
    """Stands for a fact that is not there, since null is a value."""

    __slots__ = ()


ABSENT = _Absent()


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


@dataclass(frozen=True, slots=True)
class ExecutionCreated(Event):
    """The execution was accepted: from here on it will reach an end."""

    type = "execution.created"
    workflow_id: str
    version: int
    trigger_type: str
    total_nodes: int


@dataclass(frozen=True, slots=True)
class ExecutionStarted(Event):
    """A worker took the execution: a segment begins. `epoch` counts the take-overs."""

    type = "execution.started"
    epoch: int
    worker: str
    orchestrator: str
    observability: str


@dataclass(frozen=True, slots=True)
class ExecutionPaused(Event):
    """The execution holds, and no process with it."""

    type = "execution.paused"
    reason: str


@dataclass(frozen=True, slots=True)
class ExecutionPauseRequested(Event):
    """Someone asked to pause: an intent, carried out by the worker that holds the lease."""

    type = "execution.pause_requested"
    by: str


@dataclass(frozen=True, slots=True)
class ExecutionResumed(Event):
    """A pause by hand is over, or was withdrawn before it was carried out."""

    type = "execution.resumed"
    by: str


@dataclass(frozen=True, slots=True)
class ExecutionCancelRequested(Event):
    """Someone asked to cancel: an intent, carried out by the worker that holds the lease."""

    type = "execution.cancel_requested"
    by: str


@dataclass(frozen=True, slots=True)
class ExecutionCompleted(Event):
    """Terminal: all nodes are settled. `result` is the execution's result."""

    type = "execution.completed"
    result: Any


@dataclass(frozen=True, slots=True)
class ExecutionFailed(Event):
    """Terminal: `reason` is a word, `error` `{code, message, nodeId?}`."""

    type = "execution.failed"
    reason: str
    error: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ExecutionCancelled(Event):
    """Terminal: nothing starts afterwards."""

    type = "execution.cancelled"
    by: str


@dataclass(frozen=True, slots=True)
class NodeEvent(Event):
    """An event of one node run."""

    node_id: str

    @property
    def node(self) -> str | None:
        """The node's id."""
        return self.node_id


@dataclass(frozen=True, slots=True)
class NodeStarted(NodeEvent):
    """An attempt at the node began."""

    type = "node.started"
    attempt: int
    node_type: str
    label: str


@dataclass(frozen=True, slots=True)
class NodeCompleted(NodeEvent):
    """The node's result is recorded, once. `ports` are those that it chose."""

    type = "node.completed"
    attempt: int
    duration: int
    ports: tuple[str, ...]
    output: Any


@dataclass(frozen=True, slots=True)
class NodeReused(NodeEvent):
    """The node does not run: its result is that of the execution which this one goes on from.

    `status` is `completed`, or `failed` where the failure was handled; `error` is the failure.
    """

    type = "node.reused"
    execution_id: str
    status: str
    attempt: int
    ports: tuple[str, ...]
    output: Any
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class NodeRetrying(NodeEvent):
    """An attempt failed and another follows in `delay` milliseconds."""

    type = "node.retrying"
    attempt: int
    delay: int
    error: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NodeFailed(NodeEvent):
    """The last attempt failed. `handled` says that the execution goes on through `ports`."""

    type = "node.failed"
    attempt: int
    duration: int
    error: dict[str, Any]
    handled: bool
    ports: tuple[str, ...] = ()
    output: Any = ABSENT


@dataclass(frozen=True, slots=True)
class NodeSkipped(NodeEvent):
    """No live connection leads to the node any more."""

    type = "node.skipped"


@dataclass(frozen=True, slots=True)
class NodeCancelled(NodeEvent):
    """The node was pending or running when the execution ended."""

    type = "node.cancelled"


@dataclass(frozen=True, slots=True)
class NodeInterrupted(NodeEvent):
    """The worker died inside the node, after its start and before its result."""

    type = "node.interrupted"
    attempt: int


EVENT_TYPES: dict[str, type[Event]] = {
    kind.type: kind
    for kind in tuple(globals().values())
    if isinstance(kind, type) and issubclass(kind, Event) and kind.type
}
"""Every event type by its name."""
