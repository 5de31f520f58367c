"""The nodes that templates name: each must run, and before the node that names it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from core.errors import Problem
from core.findings import Place, quote
from core.plan import Plan
from core.vertices import Vertex


@dataclass(frozen=True, slots=True)
class Reference:
    """A string in a node's configuration that names another node: `{{ nodes["other"] }}`.

    `config` is the place of the configuration, `pointer` leads from there to the string.
    """

    config: Place
    pointer: str
    node: str
    named: str

    def error(self, code: str, message: str) -> None:
        """Record an error at the string."""
        self.config.adopt(Problem(code, message, self.pointer))

    def warning(self, code: str, message: str) -> None:
        """Record a warning at the string."""
        self.config.adopt(Problem(code, message, self.pointer, severity="warning"))


def read_references(vertices: Iterable[Vertex]) -> Iterator[Reference]:
    """Yield every node that a template names, in document order."""
    for vertex in vertices:
        for pointer, named in vertex.named:
            yield Reference(vertex.place.at("config"), pointer, vertex.id, named)


def known_references(
    found: Iterable[Reference], vertices: Mapping[str, Vertex], mentioned: frozenset[str]
) -> list[Reference]:
    """Return the references to nodes that run, recording those to others."""
    known = []
    for reference in found:
        named = vertices.get(reference.named)
        if named is not None and named.runs:
            known.append(reference)
        elif named is not None and named.spec.executable:
            reference.warning(
                "reference_disabled",
                f"The node {quote(reference.named)} is disabled: it will have no output.",
            )
        elif named is not None or reference.named not in mentioned:
            reference.error(
                "reference_unknown",
                f"No node that runs has the id {quote(reference.named)}: name one that does.",
            )
    return known


def check_upstream(known: Iterable[Reference], plan: Plan) -> None:
    """Record references to nodes that do not lead to the node that names them."""
    wanted = list(known)
    if not wanted:
        return
    # One bit per node that is named: unions of such sets over all edges stay cheap.
    bits = {node: 1 << i for i, node in enumerate(dict.fromkeys(r.named for r in wanted))}
    above: dict[str, int] = {}
    for node in plan.order:
        reached = 0
        for edge in plan.incoming[node]:
            reached |= above[edge.source] | bits.get(edge.source, 0)
        above[node] = reached
    for reference in wanted:
        if not above[reference.node] & bits[reference.named]:
            reference.error(
                "reference_not_upstream",
                f"The node {quote(reference.named)} does not lead to this one: its output is not "
                "there yet. Connect it, or name an earlier node.",
            )
