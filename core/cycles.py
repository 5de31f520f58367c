"""The order of a graph, and its cycles by name where it has none. No recursion, linear time."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

Successors = Mapping[str, Sequence[str]]


def successors(ids: Iterable[str], edges: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the targets of every node, in the order of the edges."""
    found: dict[str, list[str]] = {node: [] for node in ids}
    for source, target in edges:
        found[source].append(target)
    return found


def topological_order(graph: Successors) -> tuple[str, ...] | None:
    """Return all nodes, each after those that lead to it; None when there is a cycle."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for node in graph:
        sorter.add(node)
    for source, targets in graph.items():
        for target in targets:
            sorter.add(target, source)
    try:
        return tuple(sorter.static_order())
    except CycleError:
        return None


def cycles(graph: Successors) -> list[list[str]]:
    """Return one cycle of every strongly connected component that has one.

    A cycle starts at its component's first node in the order of `graph`, and is one of the
    shortest through it; the components come in the order of those first nodes.
    """
    rank = {node: index for index, node in enumerate(graph)}
    components = [part for part in _Components(graph).found if len(part) > 1]
    firsts = [(min(part, key=rank.__getitem__), frozenset(part)) for part in components]
    firsts.sort(key=lambda pair: rank[pair[0]])
    return [_shortest_cycle(graph, first, part) for first, part in firsts]


class _Components:
    """Strongly connected components: Tarjan's algorithm (1972) with a stack of its own."""

    def __init__(self, graph: Successors) -> None:
        self.found: list[list[str]] = []
        self._graph = graph
        self._number: dict[str, int] = {}
        self._low: dict[str, int] = {}
        self._unassigned: dict[str, None] = {}
        self._path: list[tuple[str, Iterator[str]]] = []
        for node in graph:
            if node not in self._number:
                self._enter(node)
                self._follow()

    def _follow(self) -> None:
        while self._path:
            node, targets = self._path[-1]
            target = next(targets, None)
            if target is None:
                self._leave(node)
            elif target not in self._number:
                self._enter(target)
            elif target in self._unassigned:
                self._low[node] = min(self._low[node], self._number[target])

    def _enter(self, node: str) -> None:
        self._number[node] = self._low[node] = len(self._number)
        self._unassigned[node] = None
        self._path.append((node, iter(self._graph[node])))

    def _leave(self, node: str) -> None:
        self._path.pop()
        if self._path:
            parent = self._path[-1][0]
            self._low[parent] = min(self._low[parent], self._low[node])
        if self._low[node] < self._number[node]:
            return
        part: list[str] = []
        while not part or part[-1] != node:
            part.append(self._unassigned.popitem()[0])
        self.found.append(part)


def _shortest_cycle(graph: Successors, first: str, part: frozenset[str]) -> list[str]:
    came_from: dict[str, str] = {}
    queue = deque([first])
    while queue and first not in came_from:
        node = queue.popleft()
        for target in graph[node]:
            if target in part and target not in came_from:
                came_from[target] = node
                queue.append(target)
    cycle = [came_from[first]]
    while cycle[-1] != first:
        cycle.append(came_from[cycle[-1]])
    return cycle[::-1]
