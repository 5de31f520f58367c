"""The compiled form of a graph: what the scheduler walks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from core.policy import NodePolicy


@dataclass(frozen=True, slots=True)
class Edge:
    """A connection between two executable nodes. `input_port` is named by the target (`A`, `B`)."""

    source: str
    port: str
    target: str
    input_port: str | None = None


@dataclass(frozen=True, slots=True)
class PlanNode:
    """An executable node.

    `config` is the node type's own configuration, common keys taken out (they are `policy`);
    `raw` the node as its user saved it, for handlers that read it.
    """

    id: str
    type: str
    label: str
    config: Mapping[str, Any]
    policy: NodePolicy = field(default_factory=NodePolicy)
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many executions of a workflow may run at once, and what becomes of one more.

    `queue`: it waits. `reject`: it is refused. `replace`: the oldest ones are cancelled for it.
    """

    limit: int
    policy: Literal["queue", "reject", "replace"] = "queue"


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What a document says of its executions. `None` leaves the choice to the service.

    `max_parallel` is the most nodes at once, `timeout` the seconds that an execution may take,
    `retention_days` how long it is kept once it has ended (0: for ever).
    """

    max_parallel: int | None = None
    timeout: float | None = None
    orchestrator: Literal["prefect", "direct"] | None = None
    name: str | None = None
    concurrency: Concurrency | None = None
    retention_days: int | None = None


@dataclass(frozen=True)
class Plan:
    """A valid graph: executable nodes in document order, edges in connection order.

    Comments and disabled nodes are not in it: a disabled node's input flows on to its targets.
    `triggers` are the nodes of trigger types; only the one that fired starts. `order` is a
    topological order of all node ids.
    """

    nodes: Mapping[str, PlanNode]
    edges: tuple[Edge, ...]
    order: tuple[str, ...]
    triggers: tuple[str, ...] = ()
    settings: PlanSettings = field(default_factory=PlanSettings)

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Edge, ...]]:
        """Edges by target, in connection order; every node has an entry."""
        return self._by_node("target")

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[Edge, ...]]:
        """Edges by source, in connection order; every node has an entry."""
        return self._by_node("source")

    def _by_node(self, end: str) -> Mapping[str, tuple[Edge, ...]]:
        found: dict[str, list[Edge]] = {node: [] for node in self.nodes}
        for edge in self.edges:
            found[getattr(edge, end)].append(edge)
        return {node: tuple(edges) for node, edges in found.items()}
