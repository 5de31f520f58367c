"""States of executions and node runs, and every legal move between them.

`docs/state_machine.md` and the CHECK constraints of the tables are made from this module.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


class ExecutionStatus(StrEnum):
    """Where an execution is. A `reason` beside it says why it is paused, failed or cancelled."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class NodeStatus(StrEnum):
    """Where one node run is."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why an execution is paused, or why it ended as it did."""

    NODE_FAILED = "node_failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    CRASH_LOOP = "crash_loop"
    INVALID = "invalid"
    SLEEP = "sleep"
    APPROVAL = "approval"
    EVENT = "event"
    MANUAL = "manual"


_E = ExecutionStatus
_N = NodeStatus

EXECUTION_MOVES: Mapping[ExecutionStatus, frozenset[ExecutionStatus]] = {
    _E.PENDING: frozenset({_E.RUNNING, _E.PAUSED, _E.FAILED, _E.CANCELLED}),
    _E.RUNNING: frozenset({_E.PAUSED, _E.COMPLETED, _E.FAILED, _E.CANCELLED}),
    _E.PAUSED: frozenset({_E.PENDING, _E.RUNNING, _E.FAILED, _E.CANCELLED}),
    _E.COMPLETED: frozenset(),
    _E.FAILED: frozenset(),
    _E.CANCELLED: frozenset(),
}
"""A running execution whose worker died stays running: another worker carries it on. One that is
resumed by hand waits for a worker again."""

NODE_MOVES: Mapping[NodeStatus, frozenset[NodeStatus]] = {
    _N.PENDING: frozenset({_N.RUNNING, _N.SKIPPED, _N.CANCELLED}),
    _N.RUNNING: frozenset({_N.WAITING, _N.COMPLETED, _N.FAILED, _N.CANCELLED}),
    _N.WAITING: frozenset({_N.RUNNING, _N.COMPLETED, _N.FAILED, _N.CANCELLED}),
    _N.COMPLETED: frozenset(),
    _N.FAILED: frozenset(),
    _N.SKIPPED: frozenset(),
    _N.CANCELLED: frozenset(),
}

TERMINAL_EXECUTION = frozenset(status for status, onward in EXECUTION_MOVES.items() if not onward)
TERMINAL_NODE = frozenset(status for status, onward in NODE_MOVES.items() if not onward)

_S = TypeVar("_S", ExecutionStatus, NodeStatus)


class IllegalMove(Exception):
    """The state machine has no such move."""


def check_execution_move(before: ExecutionStatus, after: ExecutionStatus) -> None:
    """Raise `IllegalMove` unless an execution may go from `before` to `after`."""
    _check(EXECUTION_MOVES, before, after)


def check_node_move(before: NodeStatus, after: NodeStatus) -> None:
    """Raise `IllegalMove` unless a node run may go from `before` to `after`."""
    _check(NODE_MOVES, before, after)


def _check(moves: Mapping[_S, frozenset[_S]], before: _S, after: _S) -> None:
    if after not in moves[before]:
        raise IllegalMove(f"{before} → {after} is not a legal move.")


def settled_percentage(settled: int, total: int) -> int:
    """Return the progress in whole percent, rounded down, so that 100 means: all nodes settled.

    A graph without executable nodes has nothing left to do: 100.
    """
    return 100 if total <= 0 else min(100, settled * 100 // total)
