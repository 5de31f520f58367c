"""The rules of the walk, one by one."""

from typing import Any

import pytest

from core.graph import compile_document
from core.plan import Edge, Plan, PlanNode
from core.policy import NodePolicy
from core.walk import NodeResult, Walk, merge
from tests.strategies.graphs import CATALOGUE, document
from tests.strategies.graphs import edge as connection
from tests.strategies.graphs import node as vertex

OUT = ("out",)


def edges(text: str) -> tuple[Edge, ...]:
    """Read `a>b`, `a.port>b` and `a>b.A`, parted by spaces, as connections."""
    return tuple(map(_edge, text.split()))


def _edge(text: str) -> Edge:
    source, target = text.split(">")
    source, _, port = source.partition(".")
    target, _, input_port = target.partition(".")
    return Edge(source, port or "out", target, input_port or None)


def plan_of(text: str, *more: str, triggers: str = "", waits: dict[str, Any] | None = None) -> Plan:
    """Return a plan of the nodes that connections name, and of more."""
    found = edges(text)
    names = dict.fromkeys([*(n for e in found for n in (e.source, e.target)), *more])
    policies = {name: NodePolicy(wait_for=wanted) for name, wanted in (waits or {}).items()}
    nodes = {n: PlanNode(n, "step", n, {}, policies.get(n, NodePolicy())) for n in names}
    return Plan(nodes, found, tuple(names), tuple(triggers.split()))


def run(walk: Walk, chosen: dict[str, tuple[str, ...]] | None = None) -> list[str]:
    """Settle whatever is ready, in turn; return the order in which nodes ran."""
    ran, ready = [], list(walk.start().ready)
    while ready:
        name = ready.pop(0)
        ran.append(name)
        result = NodeResult({name: name}, (chosen or {}).get(name, OUT))
        ready += walk.settle(name, result).ready
    return ran


SHAPES = [
    # B088, defect 8: a join runs once, after both of its sides
    ("a>b a>c b>d c>d", {}, "abcd", ""),
    # defect 1: only the chosen branch of a condition
    ("a.true>b a.false>c", {"a": ("true",)}, "ab", "c"),
    # both ports
    ("a.true>b a.false>c", {"a": ("true", "false")}, "abc", ""),
    # defect 6 and dead paths: what follows a skipped node is skipped
    ("a.true>b b>c c>d a.false>e", {"a": ("false",)}, "ae", "bcd"),
    # B086: a join of branches that exclude one another runs with the live one, and does not hang
    ("a.true>b a.false>c b>d c>d", {"a": ("true",)}, "abd", "c"),
    # B083: a branch that leads nowhere ends
    ("a.true>b", {"a": ("false",)}, "a", "b"),
    # B084: two connections on one port
    ("a.true>b a.true>c", {"a": ("true",)}, "abc", ""),
    # B074: parallel connections through different ports
    ("a.true>b a.false>b", {"a": ("true",)}, "ab", ""),
    # a node that chooses no port
    ("a>b b>c", {"a": ()}, "a", "bc"),
    # one side dead, one alive, further down
    ("a.x>b b>c a.y>d d>e e>f c>f", {"a": ("y",)}, "adef", "bc"),
]


@pytest.mark.parametrize(("text", "chosen", "ran", "skipped"), SHAPES)
def test_who_runs_and_who_does_not(
    text: str, chosen: dict[str, tuple[str, ...]], ran: str, skipped: str
) -> None:
    walk = Walk(plan_of(text))
    assert run(walk, chosen) == list(ran)
    assert walk.finished
    assert {name for name in walk.results if name not in ran} == set(skipped)


def test_a_join_waits_for_all_of_its_sides() -> None:
    walk = Walk(plan_of("a>c b>c"))
    assert walk.start().ready == ["a", "b"]
    assert walk.settle("b", NodeResult(1, OUT)).ready == []
    assert not walk.finished
    assert walk.settle("a", NodeResult(2, OUT)).ready == ["c"]
    assert walk.input_of("c", {}) == [2, 1], "in connection order, not in that of completion"


def test_a_whole_cascade_is_skipped_in_one_step() -> None:
    walk = Walk(plan_of("a.x>b b>c c>d b>d d>e"))
    walk.start()
    assert walk.settle("a", NodeResult(0, OUT)).skipped == ["b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("fired", "ready", "skipped"),
    [("t", ["t", "free"], ["u", "c"]), ("u", ["u", "free"], ["t", "b"]), (None, ["free"], [])],
)
def test_of_several_triggers_only_the_fired_one_starts(
    fired: str | None, ready: list[str], skipped: list[str]
) -> None:
    steps = Walk(plan_of("t>b u>c t>d u>d", "free", triggers="t u"), fired).start()
    assert steps.ready == ready
    assert set(steps.skipped) == (set(skipped) or {"t", "u", "b", "c", "d"})


@pytest.mark.parametrize(
    ("wanted", "after"), [("any", 1), (1, 1), (2, 2), (3, 3), ("all", 3), (9, 3)]
)
def test_a_node_may_wait_for_fewer(wanted: str | int, after: int) -> None:
    walk = Walk(plan_of("a>d b>d c>d", waits={"d": wanted}))
    walk.start()
    released = [walk.settle(name, NodeResult(name, OUT)).ready for name in "abc"]
    assert released == [["d"] if number == after else [] for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("ports", "ready", "skipped"),
    [
        (("", "", ""), 0, True),
        (("", "out", ""), 3, False),
        (("out", "", "out"), 3, False),
        (("", "out", "out"), 3, False),
    ],
)
def test_dead_sides_do_not_count_as_come(ports: tuple[str, ...], ready: int, skipped: bool) -> None:
    # waiting for 2: two live ones release the node; with fewer it runs once all are decided
    walk = Walk(plan_of("a>d b>d c>d", waits={"d": 2}))
    walk.start()
    steps = [walk.settle(n, NodeResult(0, (p,))) for n, p in zip("abc", ports, strict=True)]
    assert [number for number, step in enumerate(steps, 1) if step.ready] == ([ready] * (ready > 0))
    assert steps[-1].skipped == (["d"] if skipped else [])


def test_what_comes_after_an_early_start_changes_nothing() -> None:
    walk = Walk(plan_of("a>d b>d c>d d>e", waits={"d": "any"}))
    walk.start()
    assert walk.settle("a", NodeResult(1, OUT)).ready == ["d"]
    assert walk.input_of("d", {}) == 1
    assert walk.settle("d", NodeResult(2, OUT)).ready == ["e"]
    for late, ports in (("b", OUT), ("c", ())):
        steps = walk.settle(late, NodeResult(3, ports))
        assert (steps.ready, steps.skipped) == ([], [])
    walk.settle("e", NodeResult(4, OUT))
    assert walk.finished


@pytest.mark.parametrize(
    ("values", "merged"),
    [
        ([0], 0),
        ([None], None),
        ([{"x": 1}], {"x": 1}),
        ([{"x": 1}, {"y": 2}], {"x": 1, "y": 2}),
        ([{"x": 1, "y": 1}, {"x": 2}], {"x": 2, "y": 1}),
        ([{}, {}], {}),
        ([1, 2], [1, 2]),
        ([{"x": 1}, None], [{"x": 1}, None]),
        ([[1], [2]], [[1], [2]]),
        ([False, "", []], [False, "", []]),
    ],
)
def test_several_inputs_become_one(values: list[Any], merged: Any) -> None:
    assert merge(values) == merged
    names = [f"s{number}" for number in range(len(values))]
    walk = Walk(plan_of(" ".join(f"{name}>t" for name in names)))
    walk.start()
    for name, value in reversed(list(zip(names, values, strict=True))):
        walk.settle(name, NodeResult(value, OUT))
    assert walk.input_of("t", {"t": "not this"}) == merged


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        # defect 7: by the name of the input, whatever the order and the source's port
        ("a>j.B b>j.A", {"A": 2, "B": 1}),
        ("a>j.A b>j.B", {"A": 1, "B": 2}),
        ("a.no>j.A b>j.B", {"B": 2}),
        ("a>j.A b>j.A", {"A": [1, 2]}),
        ("a>j b>j.B", {"A": 1, "B": 2}),
    ],
)
def test_a_join_is_told_its_sides_by_name(text: str, joined: dict[str, Any]) -> None:
    walk = Walk(plan_of(text))
    walk.start()
    walk.settle("b", NodeResult(2, OUT))
    walk.settle("a", NodeResult(1, OUT))
    assert walk.input_of("j", {}) == joined


def test_a_port_may_have_a_value_of_its_own() -> None:
    walk = Walk(plan_of("a.A>b a.B>c a.C>d"))
    walk.start()
    steps = walk.settle("a", NodeResult("all", ("A", "B", "C"), {"A": 0, "B": None}))
    assert [walk.input_of(name, {}) for name in steps.ready] == [0, None, "all"]


def test_a_root_gets_the_input_that_bears_its_name() -> None:
    # defect 4
    walk = Walk(plan_of("", "a", "b"))
    walk.start()
    assert [walk.input_of(name, {"a": 0}) for name in "ab"] == [0, None]


@pytest.mark.parametrize("settled", ["", "a", "ab", "ac", "abc", "abcd", "abcde"])
def test_a_resumed_walk_goes_on_where_it_ended(settled: str) -> None:
    walk = Walk(plan_of("a>b a>c b>d c>d d>e a.no>x x>y"))
    steps = walk.resume({name: NodeResult(name, OUT) for name in settled})
    ready = {"": "a", "a": "bc", "ab": "c", "ac": "b", "abc": "d", "abcd": "e", "abcde": ""}
    assert steps.ready == list(ready[settled])
    assert steps.skipped == (["x", "y"] if settled else [])
    assert walk.finished == (settled == "abcde")


def test_a_compiled_document_is_walked_as_it_is_drawn() -> None:
    graph = document(
        [vertex("t", "trigger"), vertex("c", "condition"), vertex("a"), vertex("j", "join")],
        connection("t", "c"),
        connection("c", "a", "true"),
        connection("c", "j", "false", "B"),
        connection("a", "j", None, "A"),
    )
    plan = compile_document(graph, CATALOGUE).plan
    assert plan is not None
    walk = Walk(plan, "t")
    assert run(walk, {"c": ("true",)}) == ["t", "c", "a", "j"]
    assert walk.input_of("j", {}) == {"A": {"a": "a"}}
