"""Derives the state of an execution from its events alone: the proof that they tell everything."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.status import (
    TERMINAL_EXECUTION,
    TERMINAL_NODE,
    ExecutionStatus,
    IllegalMove,
    NodeStatus,
    Reason,
    check_execution_move,
    check_node_move,
)

Load = Callable[[str], Any]
"""Returns the value that a payload's hash stands for."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as it is stored; `data` is decoded, with references in the place of large values."""

    seq: int
    type: str
    node_id: str | None
    data: Mapping[str, Any]


@dataclass(slots=True)
class NodeState:
    """One node run as its events tell it."""

    status: NodeStatus = NodeStatus.PENDING
    attempt: int = 0
    ports: tuple[str, ...] = ()
    output: Any = None
    error: Mapping[str, Any] | None = None

    def move(self, after: NodeStatus) -> None:
        """Change the state. Raises `IllegalMove`."""
        check_node_move(self.status, after)
        self.status = after


@dataclass(slots=True)
class ExecutionState:
    """An execution as its events tell it. `nodes` holds those that any event named."""

    status: ExecutionStatus | None = None
    reason: str | None = None
    error: Mapping[str, Any] | None = None
    result: Any = None
    cancel_requested: bool = False
    pause_requested: bool = False
    seq: int = 0
    total: int = 0
    nodes: dict[str, NodeState] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether a terminal event was seen."""
        return self.status in TERMINAL_EXECUTION

    def status_of(self, node_id: str) -> NodeStatus:
        """Return a node's state: at the end of an execution, what is not settled is cancelled."""
        status = self.node(node_id).status
        return NodeStatus.CANCELLED if self.ended and status not in TERMINAL_NODE else status

    def node(self, node_id: str) -> NodeState:
        """Return what the events tell of a node."""
        return self.nodes.setdefault(node_id, NodeState())

    def count(self, *statuses: NodeStatus) -> int:
        """Count the nodes that settled in one of these states."""
        return sum(state.status in statuses for state in self.nodes.values())


def replay(events: Iterable[Recorded], load: Load) -> ExecutionState:
    """Fold events, in order, into the state that they amount to.

    Raises `IllegalMove` when they tell what cannot have happened: a gap, an illegal change of
    state, anything after the end.
    """
    state = ExecutionState()
    for event in events:
        if state.ended:
            raise IllegalMove(f"{event.type} after the end.")
        if event.seq != state.seq + 1:
            raise IllegalMove(f"Event {event.seq} follows event {state.seq}.")
        state.seq = event.seq
        data = _loaded(event.data, load)
        if event.node_id is None:
            _FOLD[event.type](state, data)
        else:
            _fold_node(state.node(event.node_id), event.type, data)
    return state


def _loaded(data: Mapping[str, Any], load: Load) -> dict[str, Any]:
    return dict(data) | {name: load(data[name]["ref"]) for name in data.get("refs", ())}


def _move(state: ExecutionState, after: ExecutionStatus, reason: str | None = None) -> None:
    """Change the state; a take-over begins another segment of a running execution."""
    if state.status is None:
        raise IllegalMove(f"{after} before the execution was created.")
    if (state.status, after) != (ExecutionStatus.RUNNING, ExecutionStatus.RUNNING):
        check_execution_move(state.status, after)
    state.status, state.reason = after, reason


def _created(state: ExecutionState, data: Mapping[str, Any]) -> None:
    if state.status is not None:
        raise IllegalMove("Created twice.")
    state.status, state.total = ExecutionStatus.PENDING, data["totalNodes"]


def _started(state: ExecutionState, _data: Mapping[str, Any]) -> None:
    _move(state, ExecutionStatus.RUNNING)


def _paused(state: ExecutionState, data: Mapping[str, Any]) -> None:
    _move(state, ExecutionStatus.PAUSED, data["reason"])
    state.pause_requested = False


def _pause_requested(state: ExecutionState, _data: Mapping[str, Any]) -> None:
    if state.status is not ExecutionStatus.RUNNING:
        raise IllegalMove(f"A pause was asked for while {state.status}.")
    state.pause_requested = True


def _resumed(state: ExecutionState, _data: Mapping[str, Any]) -> None:
    """End a pause, or take back one that was not carried out."""
    if not state.pause_requested:
        _move(state, ExecutionStatus.PENDING)
    state.pause_requested = False


def _cancel_requested(state: ExecutionState, _data: Mapping[str, Any]) -> None:
    state.cancel_requested = True


def _completed(state: ExecutionState, data: Mapping[str, Any]) -> None:
    _move(state, ExecutionStatus.COMPLETED)
    state.result = data["result"]


def _failed(state: ExecutionState, data: Mapping[str, Any]) -> None:
    _move(state, ExecutionStatus.FAILED, data["reason"])
    state.error = data["error"]


def _cancelled(state: ExecutionState, _data: Mapping[str, Any]) -> None:
    _move(state, ExecutionStatus.CANCELLED, Reason.CANCELLED.value)


_FOLD: Mapping[str, Callable[[ExecutionState, Mapping[str, Any]], None]] = {
    "execution.created": _created,
    "execution.started": _started,
    "execution.paused": _paused,
    "execution.pause_requested": _pause_requested,
    "execution.resumed": _resumed,
    "execution.cancel_requested": _cancel_requested,
    "execution.completed": _completed,
    "execution.failed": _failed,
    "execution.cancelled": _cancelled,
}


def _fold_node(node: NodeState, kind: str, data: Mapping[str, Any]) -> None:
    match kind:
        case "node.started":
            _node_started(node, data)
        case "node.retrying" | "node.interrupted":
            _node_goes_on(node, kind, data)
            node.error = data.get("error")
        case "node.completed" | "node.failed":
            node.move(NodeStatus(kind.removeprefix("node.")))
            node.ports = tuple(data["ports"])
            node.output, node.error = data.get("output"), data.get("error")
        case "node.reused":
            _node_reused(node, data)
        case "node.skipped" | "node.cancelled":
            node.move(NodeStatus(kind.removeprefix("node.")))
        case _:
            raise IllegalMove(f"{kind} is not known.")


def _node_started(node: NodeState, data: Mapping[str, Any]) -> None:
    if data["attempt"] <= node.attempt:
        raise IllegalMove(f"Attempt {data['attempt']} after attempt {node.attempt}.")
    if node.status is not NodeStatus.RUNNING:
        node.move(NodeStatus.RUNNING)
    node.attempt, node.error = data["attempt"], None


def _node_reused(node: NodeState, data: Mapping[str, Any]) -> None:
    if node.status is not NodeStatus.PENDING:
        raise IllegalMove(f"Reused after it was {node.status}.")
    node.status, node.attempt = NodeStatus(data["status"]), data["attempt"]
    node.ports, node.output, node.error = tuple(data["ports"]), data["output"], data["error"]


def _node_goes_on(node: NodeState, kind: str, data: Mapping[str, Any]) -> None:
    if node.status is not NodeStatus.RUNNING or data["attempt"] != node.attempt:
        raise IllegalMove(f"{kind} of attempt {data['attempt']}: {node.status} {node.attempt}.")
