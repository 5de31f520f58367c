"""The rules of a graph as a whole: cycles, triggers, inputs and what its author may have missed."""

from collections.abc import Iterable, Mapping, Sequence

from core.cycles import Successors, cycles
from core.findings import Place, quote, quote_all
from core.plan import Plan
from core.vertices import ERROR_PORT, Vertex

_NAMED = 20
"""How many nodes of a cycle a message names."""

_GUARDS = 16
"""How many choices up its branch a connection is followed to see what it excludes."""

Vertices = Mapping[str, Vertex]


def report_cycles(vertices: Vertices, graph: Successors) -> None:
    """Record one error for every strongly connected component, at its first node."""
    for cycle in cycles(graph):
        shown = " → ".join(quote(node) for node in cycle[:_NAMED])
        rest = f" → … ({len(cycle):,} nodes in all)" if len(cycle) > _NAMED else ""
        vertices[cycle[0]].place.error(
            "graph_cycle",
            f"These nodes lead back to the first of them: {shown}{rest}. "
            "Remove one of their connections.",
        )


def report_rules(
    vertices: Vertices, plan: Plan, broken: Iterable[str], unsound: Iterable[str]
) -> None:
    """Record what is wrong or doubtful with a graph whose connections could be read.

    `broken` are nodes into which, `unsound` nodes out of which a connection is wrong: rules that
    count connections leave them out, so that one mistake is not reported twice.
    """
    left_out = frozenset(broken)
    mistaken = frozenset(unsound)
    _report_triggers(vertices, plan)
    for node in plan.nodes:
        vertex = vertices[node]
        if node not in left_out:
            _report_inputs(vertex, len(plan.incoming[node]))
        if node not in mistaken:
            _report_unused_ports(vertex, {edge.port for edge in plan.outgoing[node]})
        if len(plan.nodes) > 1 and not (plan.incoming[node] or plan.outgoing[node]):
            _report_isolated(vertex, left_out | mistaken)


def _report_triggers(vertices: Vertices, plan: Plan) -> None:
    if len(plan.triggers) > 1:
        vertices[plan.triggers[1]].place.warning(
            "trigger_multiple",
            f"There are {len(plan.triggers):,} triggers ({quote_all(plan.triggers[:_NAMED])}): "
            "only the one that fired starts, the others are skipped.",
        )


def _report_inputs(vertex: Vertex, count: int) -> None:
    needed = vertex.spec.min_inputs
    if count < needed:
        vertex.place.error(
            "join_inputs",
            f"The node {quote(vertex.id)} has {count} connections leading to it and needs "
            f"{needed}: connect more.",
        )
    elif count == 1 and len(vertex.spec.input_ports) > 1:
        vertex.place.warning(
            "join_inputs",
            f"Only one connection leads to the node {quote(vertex.id)}: it has nothing to join.",
        )
    wait_for = vertex.node.policy.wait_for
    if isinstance(wait_for, int) and wait_for > count:
        vertex.place.at("config", "waitFor").error(
            "number_range",
            f'"waitFor" is {wait_for:,}, and {count:,} connections lead to the node: write a '
            'number up to that, "any" or "all".',
        )


def _report_unused_ports(vertex: Vertex, used: set[str]) -> None:
    ports = vertex.all_ports
    unused = [port for port in ports if port not in used]
    if len(ports) > 1 and unused:
        vertex.place.warning(
            "condition_branch_missing",
            f"Nothing is connected to {quote_all(unused)} of the node {quote(vertex.id)}: what "
            "leaves there ends.",
        )


def _report_isolated(vertex: Vertex, left_out: frozenset[str]) -> None:
    if vertex.id not in left_out:
        vertex.place.warning(
            "node_unreachable",
            f"The node {quote(vertex.id)} is connected to nothing: it runs by itself.",
        )


def report_exclusive_joins(vertices: Vertices, plan: Plan) -> None:
    """Warn of nodes whose named inputs come from branches of which only one is taken.

    Such a node runs with one of its inputs: it never waits for the other. Only branches that
    nothing else joins on the way are followed, and only so far: not every case is found.
    """
    guards: dict[str, tuple[str, str] | None] = {}
    for node in plan.order:
        incoming = plan.incoming[node]
        guards[node] = None
        if len(incoming) == 1:
            edge = incoming[0]
            guards[node] = _guard(vertices, guards, edge.source, edge.port)
    for node in plan.nodes:
        if len(vertices[node].spec.input_ports) > 1:
            _report_exclusive(vertices, plan, node, guards)


def _guard(
    vertices: Vertices,
    guards: Mapping[str, tuple[str, str] | None],
    source: str,
    port: str,
) -> tuple[str, str] | None:
    return (source, port) if len(vertices[source].all_ports) > 1 else guards[source]


def _report_exclusive(
    vertices: Vertices, plan: Plan, node: str, guards: Mapping[str, tuple[str, str] | None]
) -> None:
    seen: dict[str, tuple[str, str | None]] = {}
    for edge in plan.incoming[node]:
        guard = _guard(vertices, guards, edge.source, edge.port)
        for _ in range(_GUARDS):
            if guard is None:
                break
            chooser, port = guard
            other_port, other_input = seen.setdefault(chooser, (port, edge.input_port))
            if other_input != edge.input_port and _excludes(vertices[chooser], port, other_port):
                _warn_exclusive(vertices[node].place, node, chooser, (port, other_port))
                return
            guard = guards[chooser]


def _excludes(chooser: Vertex, port: str, other: str) -> bool:
    if port == other:
        return False
    if ERROR_PORT in (port, other):
        return True
    by_row = chooser.node.config.get("processingMode") == "perRow"
    return {port, other} == {"true", "false"} and not by_row


def _warn_exclusive(place: Place, node: str, chooser: str, ports: Sequence[str]) -> None:
    place.warning(
        "join_exclusive",
        f"The inputs of the node {quote(node)} come from {quote_all(sorted(ports))} of the node "
        f"{quote(chooser)}, which takes one of them: the other input will be missing.",
    )
