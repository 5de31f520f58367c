"""Runs single nodes of every type, as the scheduler would, without an execution around them."""

from typing import Any

from config import Settings
from core.errors import Failure
from core.plan import PlanNode
from core.policy import NodePolicy
from tasks.attempt import run_attempt
from tasks.context import NodeContext
from tasks.load import load_node_types
from tasks.outcomes import Completed, Failed, Outcome
from tasks.registry import NodeType
from tasks.resources import Resources


def settings(**values: Any) -> Settings:
    """Settings that no file and no test before has a say in."""
    return Settings(_env_file=None, **values)


async def attempt(
    node_type: str | NodeType,
    config: dict[str, Any],
    data: Any = None,
    *,
    policy: NodePolicy | None = None,
    using: Settings | None = None,
    resources: Resources | None = None,
    **facts: Any,
) -> Outcome:
    """Run one attempt at a node with the id `n`. `facts` are fields of the context."""
    kind = load_node_types().types()[node_type] if isinstance(node_type, str) else node_type
    name = kind.spec.name
    node = PlanNode("n", name, name, config, policy or NodePolicy())
    given = using or settings()
    if resources is not None:
        context = NodeContext(given, resources, "execution-1", node_id="n", **facts)
        return await run_attempt(kind, node, data, context)
    async with Resources(given) as own:
        context = NodeContext(given, own, "execution-1", node_id="n", **facts)
        return await run_attempt(kind, node, data, context)


async def completed(
    node_type: str | NodeType, config: dict[str, Any], data: Any = None, **more: Any
) -> Completed:
    """Run one attempt that must succeed."""
    outcome = await attempt(node_type, config, data, **more)
    assert isinstance(outcome, Completed), outcome
    return outcome


async def failed(
    node_type: str | NodeType, config: dict[str, Any], data: Any = None, **more: Any
) -> Failure:
    """Run one attempt that must fail."""
    outcome = await attempt(node_type, config, data, **more)
    assert isinstance(outcome, Failed), outcome
    return outcome.failure


def problems(node_type: str, config: dict[str, Any]) -> list[tuple[str, str]]:
    """Return code and pointer of every error that saving the configuration would report."""
    found = load_node_types().types()[node_type].spec.check_config(config)
    return [(p.code, p.pointer) for p in found if p.severity == "error"]


def warnings(node_type: str, config: dict[str, Any]) -> list[tuple[str, str]]:
    """Return code and pointer of every warning that saving the configuration would give."""
    found = load_node_types().types()[node_type].spec.check_config(config)
    return [(p.code, p.pointer) for p in found if p.severity == "warning"]
