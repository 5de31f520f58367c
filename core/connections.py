"""Connections with the rules of their ends: ports named, every wrong one recorded."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from core.document import Draft, DraftEdge
from core.findings import Place, quote, quote_all
from core.plan import Edge
from core.vertices import Vertex

UNKNOWN_TYPE_PORT = "out"
"""Where a node of an unknown type passes its input on, whatever port its connections name."""


@dataclass(frozen=True, slots=True)
class Link:
    """A connection between two nodes that exist, neither of them a comment, with its place.

    `sound` is false where a port is wrong: the link then still counts for cycles.
    """

    place: Place
    edge: Edge
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Links:
    """All connections whose ends exist. `broken` holds the targets of the others."""

    links: list[Link] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    @property
    def edges(self) -> list[Edge]:
        """The connections without their places."""
        return [link.edge for link in self.links]


def read_links(draft: Draft, vertices: Mapping[str, Vertex]) -> Links:
    """Return the document's connections in order, recording every problem with them.

    A connection without a source port leaves through the only port of its source. One without an
    input port, into a node that names its inputs, takes the first that no other connection names.
    """
    found: list[Link] = []
    broken: set[str] = set()
    for edge in draft.edges:
        if not _ends_exist(edge, draft.mentioned):
            broken.add(edge.target)
            continue
        source, target = vertices.get(edge.source), vertices.get(edge.target)
        if source is None or target is None:
            broken.add(edge.target)
        elif _may_connect(edge, source, target):
            found.append(_read_link(edge, source, target))
    links = _name_inputs(found, vertices)
    _report_duplicates(links)
    return Links(links, broken)


def _ends_exist(draft: DraftEdge, mentioned: frozenset[str]) -> bool:
    for key, end, code in (
        ("fromNodeId", draft.source, "edge_source_unknown"),
        ("toNodeId", draft.target, "edge_target_unknown"),
    ):
        if end not in mentioned:
            draft.place.at(key).error(
                code, f"No node has the id {quote(end)}: correct the connection or remove it."
            )
    return draft.source in mentioned and draft.target in mentioned


def _may_connect(draft: DraftEdge, source: Vertex, target: Vertex) -> bool:
    if not (source.spec.executable and target.spec.executable):
        draft.place.warning(
            "edge_to_comment", "This connection touches a comment, which never runs: it is ignored."
        )
        return False
    if draft.source == draft.target:
        draft.place.error(
            "edge_self", f"The node {quote(draft.source)} is connected to itself: remove that."
        )
        return False
    return True


def _read_link(draft: DraftEdge, source: Vertex, target: Vertex) -> Link:
    if target.spec.trigger:
        draft.place.of(target.id).error(
            "trigger_has_input",
            f"The node {quote(target.id)} is a trigger, which starts executions: nothing may be "
            "connected to it.",
        )
    port = _source_port(draft, source)
    input_port = _input_port(draft, target)
    wrong_input = draft.input_port is not None and bool(target.spec.input_ports) and not input_port
    edge = Edge(draft.source, port or "", draft.target, input_port)
    return Link(draft.place, edge, port is not None and not wrong_input)


def _source_port(draft: DraftEdge, source: Vertex) -> str | None:
    if source.known and draft.port in source.all_ports and not source.spec.terminal:
        return draft.port
    place = draft.place.of(source.id)
    if source.spec.terminal:
        place.error(
            "terminal_has_output",
            f"The node {quote(source.id)} ends its branch: nothing may follow it.",
        )
        return None
    if not source.known:
        return UNKNOWN_TYPE_PORT
    if draft.port is None and len(source.ports) == 1:
        return source.ports[0]
    ports = quote_all(source.all_ports)
    if draft.port is not None:
        place.at(draft.port_key).error(
            "edge_handle_unknown",
            f"The node {quote(source.id)} has no port {quote(draft.port)}: use {ports}.",
        )
        return None
    place.error(
        "edge_handle_missing",
        f"The node {quote(source.id)} has the ports {ports}: say in "
        '"outputType" which of them this connection leaves through.',
    )
    return None


def _input_port(draft: DraftEdge, target: Vertex) -> str | None:
    ports = target.spec.input_ports
    if draft.input_port is None or draft.input_port in ports:
        return draft.input_port
    place = draft.place.at("inputPort").of(target.id)
    if ports:
        place.error(
            "edge_input_port_unknown",
            f"The node {quote(target.id)} has no input {quote(draft.input_port)}: use "
            f"{quote_all(ports)}.",
        )
    elif target.known:
        place.warning(
            "edge_input_port_ignored",
            f"The node {quote(target.id)} does not name its inputs: this has no effect.",
        )
    return None


def _name_inputs(links: list[Link], vertices: Mapping[str, Vertex]) -> list[Link]:
    taken: dict[str, set[str]] = defaultdict(set)
    for link in links:
        if link.edge.input_port is not None:
            taken[link.edge.target].add(link.edge.input_port)
    return [
        _name_input(link, vertices[link.edge.target], taken[link.edge.target])
        if link.sound and link.edge.input_port is None
        else link
        for link in links
    ]


def _name_input(link: Link, target: Vertex, taken: set[str]) -> Link:
    ports = target.spec.input_ports
    if not ports:
        return link
    place = link.place.of(target.id)
    free = next((port for port in ports if port not in taken), None)
    if free is None:
        place.error(
            "edge_input_port_missing",
            f"All inputs of the node {quote(target.id)} are named by other connections: say in "
            f'"inputPort" which of {quote_all(ports)} this one leads to.',
        )
        return replace(link, sound=False)
    place.warning(
        "edge_input_port_assumed",
        f"This connection does not say which input of the node {quote(target.id)} it leads to: "
        f"{quote(free)} is taken.",
    )
    taken.add(free)
    return replace(link, edge=replace(link.edge, input_port=free))


def _report_duplicates(links: list[Link]) -> None:
    first: dict[Edge, Place] = {}
    for link in links:
        if link.sound and first.setdefault(link.edge, link.place) is not link.place:
            link.place.error(
                "edge_duplicate",
                f"This connection is the same as {first[link.edge].pointer}: remove one of them.",
            )
