"""Random plans, and what their nodes come to."""

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from core.plan import Edge, Plan, PlanNode
from core.policy import NodePolicy, OnError
from tests.reference import Result

PORTS = ("out", "a", "b", "error")
OUTPUTS: tuple[Any, ...] = (None, 0, False, "", [], {}, "text", [1], {"x": 1}, {"x": 2, "y": 3})


@dataclass(frozen=True)
class Case:
    """A plan, the trigger that fired, and how each node behaves."""

    plan: Plan
    fired: str | None
    inputs: dict[str, Any]
    behaviour: dict[str, Result]

    def behave(self, node: str, data: Any) -> Result:
        """What a node comes to; what flowed in shows in what comes out, where there is room."""
        result = self.behaviour[node]
        seen = isinstance(result.output, list)
        return replace(result, output=[*result.output, data]) if seen else result


def settled(on_error: OnError, outgoing: list[str], output: Any) -> Result:
    """What a failed node passes on, by its `onError`."""
    item = {"error": {"code": "x", "message": "y"}, "input": output}
    if on_error == "stop":
        return Result(stops=True)
    if on_error == "route":
        return Result(item, ("error",))
    return Result(item, tuple(port for port in outgoing if port != "error") or ("out",))


@st.composite
def cases(draw: st.DrawFn, max_nodes: int = 8, *, wait: bool = True) -> Case:
    """Draw a plan of up to `max_nodes` nodes in any order, and outcomes for all of them."""
    names = [f"n{number}" for number in range(draw(st.integers(1, max_nodes)))]
    edges = [edge for place, name in enumerate(names) for edge in draw(_into(names[:place], name))]
    targets = {edge.target for edge in edges}
    triggers = draw(st.sets(st.sampled_from(names))) - targets
    waits = st.sampled_from(["all", "all", "all", "any", 2]) if wait else st.just("all")
    nodes = [
        PlanNode(
            name, draw(st.sampled_from(["step", "step", "output"])), name, {}, _policy(draw(waits))
        )
        for name in draw(st.permutations(names))
    ]
    plan = Plan(
        {node.id: node for node in nodes},
        tuple(draw(st.permutations(edges))),
        tuple(names),
        tuple(sorted(triggers)),
    )
    fired = draw(st.sampled_from(sorted(triggers))) if triggers else None
    inputs = draw(st.dictionaries(st.sampled_from(names), st.sampled_from(OUTPUTS)))
    return Case(plan, fired, inputs, {name: draw(_results(plan, name)) for name in names})


def _policy(wait_for: Any) -> NodePolicy:
    return NodePolicy(wait_for=wait_for)


def _into(earlier: list[str], name: str) -> st.SearchStrategy[list[Edge]]:
    """Connections into a node; those of a join name their input ports."""
    if not earlier:
        return st.just([])
    edge = st.builds(Edge, st.sampled_from(earlier), st.sampled_from(PORTS), st.just(name))
    sides = st.sampled_from(["A", "B"])
    joined = st.builds(lambda edge, side: replace(edge, input_port=side), edge, sides)
    return st.one_of(
        st.lists(edge, max_size=3, unique=True), st.lists(joined, max_size=3, unique=True)
    )


@st.composite
def _results(draw: st.DrawFn, plan: Plan, name: str) -> Result:
    output = draw(st.sampled_from(OUTPUTS))
    outgoing = [edge.port for edge in plan.outgoing[name]]
    if draw(st.integers(0, 5)) == 0:
        on_error: OnError = draw(st.sampled_from(["stop", "continue", "route"]))
        return settled(on_error, outgoing, output)
    ports = draw(st.lists(st.sampled_from([*outgoing, "out"]), max_size=3, unique=True))
    return Result(output, tuple(ports))
