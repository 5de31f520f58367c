"""Nodes with the rules of their type: each configuration checked, its ports known."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache

from core.catalogue import KEY_IGNORED, Catalogue, NodeSpec
from core.document import DraftNode
from core.expressions import check_value, references
from core.findings import Place, quote
from core.plan import PlanNode
from core.policy_config import own_config, read_policy

ERROR_PORT = "error"

PASS_THROUGH = NodeSpec("")
"""Stands for the rules of a type that is not known."""


@dataclass(frozen=True, slots=True)
class Vertex:
    """A node of the document. Comments and disabled nodes may hold half a configuration.

    `ports` are those of its type, without `error`; `known` is false for an unknown type, whose
    ports are anyone's guess. `named` are the nodes that its templates name, each with the pointer
    from the configuration to the template.
    """

    place: Place
    node: PlanNode
    spec: NodeSpec
    ports: tuple[str, ...]
    known: bool
    sound: bool
    named: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """The node's id."""
        return self.node.id

    @property
    def all_ports(self) -> tuple[str, ...]:
        """The ports of its type, and `error` when failures are routed."""
        routed = self.node.policy.on_error == "route" and ERROR_PORT not in self.ports
        return (*self.ports, ERROR_PORT) if routed else self.ports

    @property
    def runs(self) -> bool:
        """Tell whether executions have a node run for it."""
        return self.spec.executable and not self.node.policy.disabled

    @property
    def checked(self) -> bool:
        """Tell whether its configuration is held against the rules of its type."""
        return self.known and self.sound and self.runs


def read_vertices(
    nodes: list[DraftNode], catalogue: Catalogue, *, lenient: bool
) -> dict[str, Vertex]:
    """Return the nodes that have a valid id, by id; the first where several share one.

    Records unknown types (as warnings when `lenient`) and what is wrong with configurations.
    """
    nearest = _nearest_in(catalogue)
    found: dict[str, Vertex] = {}
    for draft in nodes:
        spec = None if draft.type is None else catalogue.get(draft.type)
        if spec is None and draft.type is not None:
            _report_unknown(draft, draft.type, nearest, lenient=lenient)
        vertex = _read_vertex(draft, spec)
        if draft.id is not None:
            found.setdefault(draft.id, vertex)
    return found


def _read_vertex(draft: DraftNode, spec: NodeSpec | None) -> Vertex:
    policy = read_policy(draft.place.at("config"), draft.config)
    config = own_config(draft.config)
    kind = draft.type or ""
    node = PlanNode(draft.id or "", kind, draft.label or kind, config, policy, draft.raw)
    known = spec is not None
    rules = spec or PASS_THROUGH
    vertex = Vertex(draft.place, node, rules, rules.ports(config), known, draft.sound)
    if vertex.checked:
        place = draft.place.at("config")
        problems = rules.check_config(config)
        ignored = {p.pointer.removeprefix("/") for p in problems if p.code == KEY_IGNORED}
        for problem in [*problems, *check_value(config, rules.verbatim | ignored)]:
            place.adopt(problem)
        # Right after the check: the compiled templates are still in their cache.
        plain = (rules.verbatim - rules.self_rendered) | ignored
        return replace(vertex, named=tuple(references(config, plain)))
    return vertex


def _report_unknown(
    draft: DraftNode, kind: str, nearest: Callable[[str], str | None], *, lenient: bool
) -> None:
    place = draft.place.at("type")
    if lenient and kind.strip():
        place.warning(
            "node_type_unknown",
            f"The node type {quote(kind)} is not known: the node passes its input through.",
        )
        return
    # Looking for a near name costs far more than the rest: not for a problem that is dropped.
    near = None if place.findings.full else nearest(kind)
    advice = f"did you mean {quote(near)}?" if near else "use one that this service lists."
    place.error("node_type_unknown", f"The node type {quote(kind)} is not known: {advice}")


def _nearest_in(catalogue: Catalogue) -> Callable[[str], str | None]:
    by_folded = {name.casefold(): name for name in catalogue}

    @cache
    def nearest(kind: str) -> str | None:
        close = get_close_matches(kind.strip().casefold(), by_folded, n=1)
        return by_folded[close[0]] if close else None

    return nearest
