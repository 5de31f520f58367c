"""The walk never differs from the naive reading of its rules, whatever settles in which order."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.walk import SKIPPED, NodeResult, Steps, Walk, execution_result
from tests.reference import Finished, Reference, Result
from tests.strategies.plans import Case, cases

many = settings(max_examples=150, deadline=None)


def node_result(result: Result) -> NodeResult:
    return NodeResult(result.output, result.ports)


class Walker:
    """Drives a walk as a scheduler without limits does, one settled node at a time."""

    def __init__(self, case: Case, walk: Walk) -> None:
        self.case = case
        self.walk = walk
        self.running: set[str] = set()
        self.skipped: list[str] = []
        self.given: dict[str, Any] = {}
        self.ran: list[str] = []
        self.failed: str | None = None

    def take(self, steps: Steps) -> None:
        for node in steps.ready:
            assert node not in self.given, "a node is ready once"
            self.given[node] = self.walk.input_of(node, self.case.inputs)
        self.running |= set(steps.ready)
        self.skipped += steps.skipped

    def step(self, order: random.Random) -> None:
        """Let one of the running nodes settle."""
        node = order.choice(sorted(self.running))
        self.running.remove(node)
        self.ran.append(node)
        result = self.case.behave(node, self.given[node])
        if result.stops:
            self.failed, self.running = node, set()
        else:
            self.take(self.walk.settle(node, node_result(result)))

    def result(self) -> Any:
        return execution_result(self.case.plan, self.walk.results, lambda kind: kind == "output")


def walked(case: Case, seed: int) -> Walker:
    """Walk to the end, compared with the reference at every step."""
    reference = Reference(case.plan, case.fired, case.inputs)
    walker, order = Walker(case, Walk(case.plan, case.fired)), random.Random(seed)
    walker.take(walker.walk.start())
    results: dict[str, Result] = {}
    while walker.running:
        assert walker.running == reference.ready(results)
        assert set(walker.skipped) == reference.skipped(results)
        walker.step(order)
        if walker.failed is None:
            node = walker.ran[-1]
            results[node] = case.behave(node, walker.given[node])
    return walker


def expected(case: Case, seed: int) -> Finished:
    order = random.Random(seed)
    return Reference(case.plan, case.fired, case.inputs).run(case.behave, order.choice)


@many
@given(cases(), st.integers(0, 99))
def test_the_walk_is_the_naive_one(case: Case, seed: int) -> None:
    # section 3.6 (c): which nodes run, which are skipped, what flows in, and the result
    walker, finished = walked(case, seed), expected(case, seed)
    assert walker.failed == finished.failed
    assert walker.given == finished.given
    assert len(walker.skipped) == len(set(walker.skipped))
    if walker.failed is None:
        assert walker.walk.finished
        assert set(walker.skipped) == finished.skipped == set(case.plan.nodes) - set(walker.ran)
        assert walker.result() == finished.result


@many
@given(cases(wait=False), st.integers(0, 99), st.integers(0, 99))
def test_the_order_in_which_nodes_settle_does_not_matter(case: Case, one: int, two: int) -> None:
    first, second = walked(case, one), walked(case, two)
    if first.failed is None and second.failed is None:
        assert first.given == second.given
        assert first.result() == second.result()
        assert sorted(first.skipped) == sorted(second.skipped)


@many
@given(cases(), st.integers(0, 99), st.data())
def test_resumed_anywhere_the_end_is_the_same(case: Case, seed: int, data: st.DataObject) -> None:
    whole = walked(case, seed)
    if whole.failed is not None:
        return
    cut = data.draw(st.integers(0, len(whole.ran)))
    settled = {node: whole.walk.results[node] for node in whole.ran[:cut]}
    rest = Walker(case, Walk(case.plan, case.fired))
    steps = rest.walk.resume(settled)
    rest.take(steps)
    while rest.running:
        rest.step(random.Random(seed))
    assert sorted([*rest.ran, *settled]) == sorted(whole.ran)
    assert sorted(rest.skipped) == sorted(whole.skipped)
    if all(node.policy.wait_for == "all" for node in case.plan.nodes.values()):
        assert rest.given == {node: whole.given[node] for node in rest.ran}
        assert rest.result() == whole.result()
    # Of the skipped nodes, some are recorded when a worker dies and some are not.
    recorded = dict.fromkeys(data.draw(st.sets(st.sampled_from(["", *steps.skipped]))), SKIPPED)
    again = Walk(case.plan, case.fired).resume(settled | recorded)
    assert again.ready == steps.ready
    assert again.skipped == [node for node in steps.skipped if node not in recorded]
