"""The walk through a graph: which nodes are ready, which are skipped, what flows into each.

Rules: a connection is live when its source settled and chose its port, dead when it cannot become
live any more. A node is ready once, when all its incoming connections are decided and at least one
is live (`wait_for` lets it start earlier); when all are dead it is skipped, and so on downstream.
Counting replaces `graphlib.TopologicalSorter` here, which cannot release a node early or drop one.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

from core.plan import Edge, Plan


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What a settled node passes on: `output` through every one of `ports`.

    `by_port` gives single ports a value of their own. No ports: nothing flows on.
    """

    output: Any = None
    ports: tuple[str, ...] = ()
    by_port: Mapping[str, Any] = field(default_factory=dict)

    def value_for(self, port: str) -> Any:
        """Return what flows through `port`."""
        return self.by_port.get(port, self.output)


SKIPPED = NodeResult()


@dataclass(slots=True)
class Steps:
    """What follows from a node's settling: nodes to run now, and nodes that never will."""

    ready: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


class Walk:
    """One execution's way through its plan. Linear in nodes and edges over the whole walk."""

    def __init__(self, plan: Plan, fired: str | None = None) -> None:
        """Begin a walk; `fired` is the trigger that started it, all others are skipped."""
        self.plan = plan
        self.results: dict[str, NodeResult] = {}
        self._fired = fired
        self._undecided = {node: len(edges) for node, edges in plan.incoming.items()}
        self._live: dict[str, list[Edge]] = {node: [] for node in plan.nodes}
        self._released: set[str] = set()

    @property
    def finished(self) -> bool:
        """Whether every node is settled."""
        return len(self.results) == len(self.plan.nodes)

    def start(self) -> Steps:
        """Return the first steps."""
        steps = Steps()
        roots = [node for node, count in self._undecided.items() if count == 0]
        triggers = frozenset(self.plan.triggers)
        for root in roots:
            self._released.add(root)
            if root in triggers and root != self._fired:
                self._settle(root, SKIPPED, steps, skipped=True)
            else:
                steps.ready.append(root)
        return steps

    def resume(self, settled: Mapping[str, NodeResult]) -> Steps:
        """Begin where an earlier segment ended: `settled` holds its results by node id."""
        first = self.start()
        steps = Steps(skipped=[node for node in first.skipped if node not in settled])
        waiting = deque(first.ready)
        while waiting:
            node = waiting.popleft()
            if node not in settled:
                steps.ready.append(node)
                continue
            following = self.settle(node, settled[node])
            waiting.extend(following.ready)
            steps.skipped += [node for node in following.skipped if node not in settled]
        return steps

    def settle(self, node: str, result: NodeResult) -> Steps:
        """Record a node's result and return what follows. A node settles once."""
        steps = Steps()
        self._settle(node, result, steps, skipped=False)
        return steps

    def _settle(self, node: str, result: NodeResult, steps: Steps, *, skipped: bool) -> None:
        waiting = deque([(node, result, skipped)])
        while waiting:
            current, value, was_skipped = waiting.popleft()
            self.results[current] = value
            if was_skipped:
                steps.skipped.append(current)
            for edge in self.plan.outgoing[current]:
                if self._decide(edge, live=edge.port in value.ports):
                    waiting.append((edge.target, SKIPPED, True))
                elif self._is_ready(edge.target):
                    self._released.add(edge.target)
                    steps.ready.append(edge.target)

    def _decide(self, edge: Edge, *, live: bool) -> bool:
        """Decide a connection; tell whether its target is thereby skipped."""
        target = edge.target
        self._undecided[target] -= 1
        if live:
            self._live[target].append(edge)
        dead = not self._undecided[target] and not self._live[target]
        if dead:
            self._released.add(target)
        return dead

    def _is_ready(self, node: str) -> bool:
        live = len(self._live[node])
        if node in self._released or not live:
            return False
        if not self._undecided[node]:
            return True
        wanted = self.plan.nodes[node].policy.wait_for
        return wanted != "all" and live >= (1 if wanted == "any" else int(wanted))

    def input_of(self, node: str, inputs: Mapping[str, Any]) -> Any:
        """Return what flows into a ready node.

        No live connection: the execution's own input for that node. One: its value. Several:
        objects merge in connection order, anything else becomes a list in that order. Where
        connections name input ports, an object by port.
        """
        edges = self._in_order(node)
        if not edges:
            return inputs.get(node)
        if any(edge.input_port is not None for edge in edges):
            return self._by_input_port(edges)
        return merge(self._value(edge) for edge in edges)

    def _in_order(self, node: str) -> list[Edge]:
        live = set(map(id, self._live[node]))
        return [edge for edge in self.plan.incoming[node] if id(edge) in live]

    def _by_input_port(self, edges: Iterable[Edge]) -> dict[str, Any]:
        sides: dict[str, list[Edge]] = {}
        for edge in edges:
            sides.setdefault(edge.input_port or "A", []).append(edge)
        return {port: merge(map(self._value, at_port)) for port, at_port in sides.items()}

    def _value(self, edge: Edge) -> Any:
        return self.results[edge.source].value_for(edge.port)


def merge(values: Iterable[Any]) -> Any:
    """Return the one value there is, all objects merged, or the list of the values."""
    found = list(values)
    if len(found) == 1:
        return found[0]
    if all(isinstance(value, Mapping) for value in found):
        return {key: item for value in found for key, item in value.items()}
    return found


def execution_result(
    plan: Plan, results: Mapping[str, NodeResult], is_output: Callable[[str], bool]
) -> Any:
    """Return an execution's result once all nodes are settled.

    The value of the output node; of several that completed, an object by label (by id where a
    label is taken, by a number behind it where both are); without any, the same over the leaves
    that completed.
    """
    outputs = [node for node in plan.nodes if is_output(plan.nodes[node].type)]
    leaves = [node for node in plan.nodes if not plan.outgoing[node]]
    chosen = [node for node in outputs or leaves if results[node].ports]
    if len(chosen) == 1:
        return results[chosen[0]].output
    named: dict[str, Any] = {}
    for node in chosen:
        label = plan.nodes[node].label
        names = chain((label, node), (f"{label} {number}" for number in count(2)))
        named[next(name for name in names if name not in named)] = results[node].output
    return named or None


def ports_of(edges: Collection[Edge]) -> tuple[str, ...]:
    """Return the ports that connections leave through, once each, in order."""
    return tuple(dict.fromkeys(edge.port for edge in edges))
