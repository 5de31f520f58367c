"""What a repeated execution need not do again: the results that it shares with the first one."""

from collections.abc import Collection, Mapping

from core.plan import Plan, PlanNode


def changed_nodes(before: Plan, after: Plan) -> set[str]:
    """Return the nodes of `after` that would do something else, or get other input."""
    return {
        node
        for node in after.nodes
        if node not in before.nodes
        or _behaviour(before.nodes[node]) != _behaviour(after.nodes[node])
        or before.incoming[node] != after.incoming[node]
    }


def _behaviour(node: PlanNode) -> str:
    return repr((node.type, node.config, node.policy))  # 1 and true are equal, and not the same


def reusable(plan: Plan, ports: Mapping[str, Collection[str]], again: Collection[str]) -> list[str]:
    """Return the nodes whose results can be kept, in topological order.

    `ports` holds those that the finished nodes chose, by node; `again` the nodes that must run
    again, and with them everything downstream. A node is kept only with all that flowed into it.
    """
    dropped = set(again)
    kept: dict[str, None] = {}
    for node in plan.order:
        incoming = plan.incoming[node]
        if any(edge.source in dropped for edge in incoming):
            dropped.add(node)
        live = [edge.source for edge in incoming if edge.port in ports.get(edge.source, ())]
        fed = bool(live) or not incoming
        if node in ports and node not in dropped and fed and all(one in kept for one in live):
            kept[node] = None
    return list(kept)
