"""Compiles a user's document into a plan, or says everything that is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.catalogue import Catalogue
from core.connections import Links, read_links
from core.cycles import successors, topological_order
from core.document import Draft, read_document
from core.errors import Problem
from core.findings import Findings, Place
from core.plan import Edge, Plan
from core.references import check_upstream, known_references, read_references
from core.splice import SpliceTooLarge, splice
from core.validation import report_cycles, report_exclusive_joins, report_rules
from core.vertices import Vertex, read_vertices


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest document that is compiled. `max_string` is in characters.

    `max_problems` is the most that are reported; a document over the other limits is refused.
    """

    max_nodes: int = 5_000
    max_edges: int = 50_000
    max_string: int = 262_144
    max_problems: int = 100


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Compiled:
    """The plan of a document, or why it has none.

    `problems` holds the errors, then the warnings, each in the order of the document; `truncated`
    says that there are more. `plan` is None if and only if there is an error.
    """

    plan: Plan | None
    problems: tuple[Problem, ...]
    truncated: bool

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the document from running."""
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that do not."""
        return tuple(p for p in self.problems if p.severity == "warning")


def compile_document(
    document: Any,
    catalogue: Catalogue,
    limits: Limits = DEFAULT_LIMITS,
    lenient: bool = False,
) -> Compiled:
    """Return the plan of `document` (any JSON value), or every problem that it has.

    Raises nothing, in time linear in the document's size. With `lenient` a node of an unknown
    type is a warning: it keeps its type, and its input flows on along all its connections.
    """
    findings = Findings(limits.max_problems)
    place = Place(findings)
    draft = read_document(place, document, limits.max_nodes, limits.max_edges, limits.max_string)
    plan = _compile(place, draft, catalogue, limits.max_edges, lenient=lenient)
    return Compiled(None if findings.failed else plan, findings.problems(), findings.truncated)


def _compile(
    place: Place, draft: Draft, catalogue: Catalogue, max_edges: int, *, lenient: bool
) -> Plan:
    vertices = read_vertices(draft.nodes, catalogue, lenient=lenient)
    named = read_references(vertices.values())
    references = known_references(named, vertices, draft.mentioned)
    links = read_links(draft, vertices)
    graph = successors(vertices, ((edge.source, edge.target) for edge in links.edges))
    order = topological_order(graph)
    if order is None:
        report_cycles(vertices, graph)
    plan = _plan(draft, vertices, _running(place, vertices, links.edges, order, max_edges), order)
    _check_plan(place, plan, vertices, links)
    if order is not None:
        check_upstream(references, plan)
        report_exclusive_joins(vertices, plan)
    return plan


def _running(
    place: Place,
    vertices: Mapping[str, Vertex],
    edges: Sequence[Edge],
    order: Sequence[str] | None,
    max_edges: int,
) -> list[Edge]:
    """Return the edges between nodes that run; those through disabled nodes need an order."""
    disabled = frozenset(node for node, vertex in vertices.items() if not vertex.runs)
    if order is not None:
        try:
            return splice(edges, disabled, order, max_edges)
        except SpliceTooLarge:
            place.at("connections").error(
                "graph_too_many_edges",
                f"Passing around its disabled nodes, the workflow has more than {max_edges:,} "
                "connections: remove disabled nodes.",
            )
    return [edge for edge in edges if edge.source not in disabled and edge.target not in disabled]


def _plan(
    draft: Draft,
    vertices: Mapping[str, Vertex],
    edges: Sequence[Edge],
    order: Sequence[str] | None,
) -> Plan:
    running = {node: vertex.node for node, vertex in vertices.items() if vertex.runs}
    return Plan(
        nodes=running,
        edges=tuple(edges),
        order=tuple(node for node in order or () if node in running),
        triggers=tuple(node for node in running if vertices[node].spec.trigger),
        settings=draft.settings,
    )


def _check_plan(place: Place, plan: Plan, vertices: Mapping[str, Vertex], links: Links) -> None:
    unsound = [link.edge for link in links.links if not link.sound]
    broken = links.broken.union(edge.target for edge in unsound)
    report_rules(vertices, plan, broken, (edge.source for edge in unsound))
    if vertices and not plan.nodes:
        place.at("nodes").warning(
            "graph_nothing_to_run",
            "All nodes are comments or disabled: an execution has nothing to do.",
        )


def fired_trigger(plan: Plan, inputs: Mapping[str, Any]) -> str | None:
    """Return the trigger that a manual start fires, or None when the plan has none.

    That is the first trigger that `inputs` (by node id) names, else the first of type `trigger`,
    else the first of type `webhook`, else the first.
    """
    named = [node for node in plan.triggers if node in inputs]
    by_type = [
        node
        for kind in ("trigger", "webhook")
        for node in plan.triggers
        if plan.nodes[node].type == kind
    ]
    return next(iter([*named, *by_type, *plan.triggers]), None)
