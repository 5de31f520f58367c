"""`docs/state_machine.md`: the page says what the code says."""

import re

from core.status import EXECUTION_MOVES, NODE_MOVES, ExecutionStatus, NodeStatus, Reason
from docs.build_state_machine import (
    EXECUTION_WORDS,
    NODE_WORDS,
    PAGE,
    REASON_WORDS,
    page,
)

WRITTEN = PAGE.read_text("utf-8") if PAGE.exists() else ""


def test_the_page_is_up_to_date() -> None:
    assert page() == WRITTEN, "Run: python -m docs.build_state_machine"


def test_every_word_is_explained() -> None:
    assert set(EXECUTION_WORDS) == set(ExecutionStatus)
    assert set(NODE_WORDS) == set(NodeStatus)
    assert set(REASON_WORDS) == set(Reason)


def test_the_diagrams_hold_every_legal_move_and_no_other() -> None:
    drawn = re.findall(r"^    (\w+) --> (\w+)$", WRITTEN, re.MULTILINE)
    legal = [(str(a), str(b)) for a, onward in EXECUTION_MOVES.items() for b in onward]
    legal += [(str(a), str(b)) for a, onward in NODE_MOVES.items() for b in onward]
    assert sorted(drawn) == sorted(legal)


def test_a_reason_stands_beside_a_state_that_there_is() -> None:
    assert {beside for beside, _ in REASON_WORDS.values()} <= set(ExecutionStatus)
