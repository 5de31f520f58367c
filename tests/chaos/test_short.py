"""A minute of chaos: nothing is lost, nothing is done twice, everything ends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.run import Plan, storm

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


# P1, P2, P3, P7, P12, P15, P19, R003-06, R003-36, R003-39, R003-45, B140, B142, B145
def test_nothing_is_lost_while_processes_die(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    plan = Plan(tmp_path, seconds=38, seed=11, rate=2.0, gap=(1.2, 3.5), most=60)
    outcome = storm(plan)
    record_property("figures", outcome.figures.table())
    assert not outcome.violations, "\n".join(map(str, outcome.violations))
    kinds = outcome.figures.kinds
    assert kinds["kill worker"] + kinds["kill api"] >= 8, kinds
    assert kinds["freeze"] + kinds["lock"] >= 2, kinds
    assert outcome.figures.statuses.total() >= 40
    assert outcome.figures.recovery
    assert outcome.seen.requests
    assert outcome.seen.refused
