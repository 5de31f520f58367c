"""The rules of the walk, written down naively: what holds is worked out anew from all results.

No counting, no queue, no memory between two steps: slow, and short enough to be read against the
rules. The engine must never differ from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.plan import Edge, Plan

Results = Mapping[str, "Result"]


@dataclass(frozen=True)
class Result:
    """What a node came to: what it passes on, through which ports; or that it failed for good."""

    output: Any = None
    ports: tuple[str, ...] = ()
    stops: bool = False


@dataclass(frozen=True)
class Reference:
    """An interpreter of one plan, started by the trigger `fired`."""

    plan: Plan
    fired: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def edge_state(self, edge: Edge, results: Results) -> Literal["live", "dead", "undecided"]:
        """Live: its source settled and chose its port. Dead: it cannot become live any more."""
        if edge.source in results:
            return "live" if edge.port in results[edge.source].ports else "dead"
        return "dead" if self.is_skipped(edge.source, results) else "undecided"

    def states(self, node: str, results: Results) -> list[str]:
        """The states of a node's incoming connections."""
        return [self.edge_state(edge, results) for edge in self.plan.edges if edge.target == node]

    def is_skipped(self, node: str, results: Results) -> bool:
        """A trigger that did not fire; a node all of whose connections are dead."""
        states = self.states(node, results)
        if not states:
            return node in self.plan.triggers and node != self.fired
        return set(states) == {"dead"}

    def may_run(self, node: str, results: Results) -> bool:
        """Every connection decided and one live, or as many live as it waits for."""
        states = self.states(node, results)
        if not states:
            return not self.is_skipped(node, results)
        live, wanted = states.count("live"), self.plan.nodes[node].policy.wait_for
        if live and "undecided" not in states:
            return True
        return wanted != "all" and live >= {"any": 1}.get(str(wanted), wanted)  # type: ignore[operator]

    def ready(self, results: Results) -> set[str]:
        """The nodes that may run and have not settled."""
        return {
            node for node in self.plan.nodes if node not in results and self.may_run(node, results)
        }

    def skipped(self, results: Results) -> set[str]:
        """The nodes that will never run."""
        return {node for node in self.plan.nodes if self.is_skipped(node, results)}

    def input_of(self, node: str, results: Results) -> Any:
        """What flows in at this moment."""
        live = [
            edge
            for edge in self.plan.edges
            if edge.target == node and self.edge_state(edge, results) == "live"
        ]
        values = {edge: results[edge.source].output for edge in live}
        if not live:
            return self.inputs.get(node)
        if all(edge.input_port is None for edge in live):
            return merged(list(values.values()))
        return {
            port: merged([values[edge] for edge in live if (edge.input_port or "A") == port])
            for port in dict.fromkeys(edge.input_port or "A" for edge in live)
        }

    def result(self, results: Results) -> Any:
        """The output nodes' values, or the leaves': the one there is, or several by label."""
        names = list(self.plan.nodes)
        outputs = [node for node in names if self.plan.nodes[node].type == "output"]
        leaves = [node for node in names if all(edge.source != node for edge in self.plan.edges)]
        chosen = [n for n in outputs or leaves if n in results and results[n].ports]
        if len(chosen) < 2:
            return results[chosen[0]].output if chosen else None
        return {self.plan.nodes[node].label: results[node].output for node in chosen}

    def run(
        self, behave: Callable[[str, Any], Result], choose: Callable[[list[str]], str]
    ) -> "Finished":
        """Run to the end; `choose` picks which of the running nodes settles next.

        All nodes start as soon as they may.
        """
        results: dict[str, Result] = {}
        given: dict[str, Any] = {}
        while ready := self.ready(results):
            for node in ready - set(given):
                given[node] = self.input_of(node, results)
            node = choose(sorted(ready))
            results[node] = behave(node, given[node])
            if results[node].stops:
                return Finished(self, results, given, failed=node)
        return Finished(self, results, given)


@dataclass(frozen=True)
class Finished:
    """How a run ended: the results and inputs by node id, and the node that stopped it."""

    reference: Reference
    results: Mapping[str, Result]
    given: Mapping[str, Any]
    failed: str | None = None

    @property
    def result(self) -> Any:
        """The result of the whole."""
        return None if self.failed else self.reference.result(self.results)

    @property
    def skipped(self) -> set[str]:
        """The nodes that never ran and never would have."""
        return self.reference.skipped(self.results)


def merged(values: list[Any]) -> Any:
    """One value as it is; objects become one object, the later key winning; else a list."""
    if len(values) == 1:
        return values[0]
    if not all(isinstance(value, dict) for value in values):
        return values
    whole: dict[str, Any] = {}
    for value in values:
        whole.update(value)
    return whole
