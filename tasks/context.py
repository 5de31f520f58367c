"""What a node is told about the execution that it is part of."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from config import Settings
from core.expressions import render
from tasks.resources import Resources


def _no_mapping() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class NodeContext:
    """One attempt at one node of one execution.

    `nodes` holds every earlier output by node id; `inputs` the execution's inputs by node id;
    `node` the node as the user saved it; `timeout` the seconds that it is given, if it or its
    type says so, enforced by whoever runs it. `resources` holds what nodes share in a process.
    """

    settings: Settings
    resources: Resources
    execution_id: str = ""
    workflow_id: str = ""
    workflow_name: str = ""
    organization_id: str = ""
    trigger_type: str = "manual"
    node_id: str = ""
    node_type: str = ""
    label: str = ""
    iteration: int = 0
    attempt: int = 1
    timeout: float | None = None
    node: Mapping[str, Any] = field(default_factory=_no_mapping)
    nodes: Mapping[str, Any] = field(default_factory=_no_mapping)
    inputs: Mapping[str, Any] = field(default_factory=_no_mapping)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt at this node, also after a crash."""
        return f"{self.execution_id}.{self.node_id}.{self.iteration}"

    def scope(self, data: Any) -> dict[str, Any]:
        """Return the names that a template may use, `data` being the node's input.

        Fields of an input object are names of their own. The service's names win over them, save
        `input`: existing documents name their manual input so, and mean that field.
        """
        fields = data if isinstance(data, Mapping) else {}
        return {
            "input": data,
            **fields,
            "nodes": self.nodes,
            "inputs": self.inputs,
            "execution": {
                "id": self.execution_id,
                "triggerType": self.trigger_type,
                "attempt": self.attempt,
            },
            "workflow": {"id": self.workflow_id, "name": self.workflow_name},
            "now": self.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }

    def render(self, value: Any, data: Any) -> Any:
        """Render every template in `value` (a string, or strings inside lists and objects) once.

        Raises `core.expressions.TemplateError`.
        """
        return render(value, self.scope(data))

    def next_attempt(self, attempt: int) -> "NodeContext":
        """Return the context of another attempt at the same node."""
        return replace(self, attempt=attempt, started_at=datetime.now(UTC))
