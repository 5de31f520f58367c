"""Takes disabled nodes out of a graph: what would flow into one flows on to its targets."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from core.plan import Edge


class SpliceTooLarge(Exception):
    """Without its disabled nodes the graph has more connections than allowed."""


def splice(
    edges: Sequence[Edge], disabled: frozenset[str], order: Iterable[str], max_edges: int
) -> list[Edge]:
    """Return the edges without `disabled` nodes, in connection order.

    An edge out of a disabled node becomes one from each source that leads to that node, in its
    place; out of a disabled root it vanishes. Edges that come out equal are kept once. `order` is
    a topological order of all nodes. Raises `SpliceTooLarge` when more than `max_edges`
    connections would have to be made, for the disabled nodes or for the result.
    """
    if not disabled:
        return list(edges)
    incoming: dict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        incoming[edge.target].append(edge)
    feeds: dict[str, tuple[Edge, ...]] = {}
    held = 0
    for node in order:
        if node in disabled:
            feeds[node] = _expand(incoming[node], feeds, max_edges - held)
            held += len(feeds[node])
    return list(_expand([e for e in edges if e.target not in disabled], feeds, max_edges))


def _expand(
    edges: Iterable[Edge], feeds: Mapping[str, tuple[Edge, ...]], room: int
) -> tuple[Edge, ...]:
    found: dict[Edge, None] = {}
    for edge in edges:
        through = feeds.get(edge.source, (edge,))
        # Counted before equal ones fall together: this bounds the work, not only the result.
        room -= len(through)
        if room < 0:
            raise SpliceTooLarge
        for feed in through:
            found[Edge(feed.source, feed.port, edge.target, edge.input_port)] = None
    return tuple(found)
