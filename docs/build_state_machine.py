"""Writes `docs/state_machine.md` from `core/status.py`: `python -m docs.build_state_machine`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from core.status import (
    EXECUTION_MOVES,
    NODE_MOVES,
    ExecutionStatus,
    NodeStatus,
    Reason,
)

State = TypeVar("State", ExecutionStatus, NodeStatus)
PAGE = Path(__file__).parent / "state_machine.md"

HEAD = """\
# The states of executions and nodes

Made from `core/status.py` by `python -m docs.build_state_machine`; a test fails when it is stale.
Every move is made by one function, which writes its event in the same transaction. A terminal
state is never left and never overwritten.
"""

EXECUTION_NOTES = """\
A running execution whose worker died stays `running`: another worker takes it over, and an event
says so. Cancelling is a request and not a state: an execution that nobody runs is cancelled at
once, one that a worker runs as soon as that worker has cut off its nodes. Pausing by hand is a
request too: the worker starts no further node, lets those that run finish, and lets go. A resumed
execution is `pending` again. Its time limit counts on while it is paused.
"""

NODE_NOTES = """\
A node that is tried again, or whose worker died inside it, stays `running` under a higher
`attempt`. A node is `skipped` when no connection that leads to it can become live any more. What
is not settled when its execution ends is `cancelled`.
"""

EXECUTION_WORDS: Mapping[ExecutionStatus, str] = {
    ExecutionStatus.PENDING: "accepted; waits for a worker",
    ExecutionStatus.RUNNING: "a worker carries it, or will again",
    ExecutionStatus.PAUSED: "holds, and no process with it; the reason says what for",
    ExecutionStatus.COMPLETED: "all nodes are settled",
    ExecutionStatus.FAILED: "the reason says why",
    ExecutionStatus.CANCELLED: "someone asked for it",
}

NODE_WORDS: Mapping[NodeStatus, str] = {
    NodeStatus.PENDING: "not decided yet",
    NodeStatus.RUNNING: "an attempt is under way, or the next one is awaited",
    NodeStatus.WAITING: "waits for a time, a person or an event",
    NodeStatus.COMPLETED: "its result is recorded",
    NodeStatus.FAILED: "its last attempt failed; `onError` says what follows",
    NodeStatus.SKIPPED: "no live connection leads to it",
    NodeStatus.CANCELLED: "its execution ended first",
}

REASON_WORDS: Mapping[Reason, tuple[str, str]] = {
    Reason.NODE_FAILED: ("failed", "a node failed, and its `onError` is `stop`"),
    Reason.TIMEOUT: ("failed", "the time limit of the whole execution was reached"),
    Reason.CRASH_LOOP: ("failed", "its workers died again and again while they ran it"),
    Reason.INVALID: ("failed", "the stored workflow cannot run"),
    Reason.CANCELLED: ("cancelled", "someone asked for it"),
    Reason.SLEEP: ("paused", "until a time"),
    Reason.APPROVAL: ("paused", "until a person decides"),
    Reason.EVENT: ("paused", "until something is reported from outside"),
    Reason.MANUAL: ("paused", "until someone resumes it"),
}


def diagram(moves: Mapping[State, frozenset[State]]) -> Iterator[str]:
    """Yield the lines of a mermaid state diagram."""
    yield from ("```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(moves))}")
    for before, onward in moves.items():
        yield from (f"    {before} --> {after}" for after in moves if after in onward)
    yield from (f"    {status} --> [*]" for status, onward in moves.items() if not onward)
    yield "```"


def table(moves: Mapping[State, frozenset[State]], words: Mapping[State, str]) -> Iterator[str]:
    """Yield the lines of a table of states, their meaning and their legal moves."""
    yield from ("| State | Meaning | May become |", "| --- | --- | --- |")
    for status, onward in moves.items():
        after = ", ".join(f"`{word}`" for word in moves if word in onward) or "nothing: terminal"
        yield f"| `{status}` | {words[status]} | {after} |"


def reasons() -> Iterator[str]:
    """Yield the lines of the table of reasons."""
    yield from ("| Reason | Beside | Meaning |", "| --- | --- | --- |")
    for reason in sorted(Reason, key=lambda reason: list(REASON_WORDS).index(reason)):
        beside, meaning = REASON_WORDS[reason]
        yield f"| `{reason}` | `{beside}` | {meaning} |"


def page() -> str:
    """Return the text of the page."""
    parts = [
        HEAD,
        "## Executions\n",
        EXECUTION_NOTES,
        *diagram(EXECUTION_MOVES),
        "",
        *table(EXECUTION_MOVES, EXECUTION_WORDS),
        "",
        "### Reasons\n",
        *reasons(),
        "",
        "## Nodes\n",
        NODE_NOTES,
        *diagram(NODE_MOVES),
        "",
        *table(NODE_MOVES, NODE_WORDS),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
