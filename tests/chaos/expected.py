"""What the nodes of a random document must come to, worked out without the engine.

Pure nodes are computed here. What a request came to is taken from the record, since it may have
been tried again after a crash, and only held to what that address can answer.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from core.plan import Plan, PlanNode
from core.replay import ExecutionState
from core.status import NodeStatus
from tests.chaos.graphs import DRIP_BYTES
from tests.reference import Reference, Result

Inputs = Mapping[str, Any]
_LATE = "http_timeout"
"""A good address may be late on a machine that is busy, or frozen with its worker."""


def pure_result(node: PlanNode, data: Any, inputs: Inputs) -> Result | None:
    """Return what a node that touches nothing outside comes to; `None` for the others."""
    config = node.config
    match node.type:
        case "manualInput":
            given = inputs.get(node.id, config["inputVarValue"])
            return Result({config["inputVarName"]: given}, ("out",))
        case "addField":
            return Result(_with_field(data, config["fieldName"], config["fieldValue"]), ("out",))
        case "condition":
            first = (data[0] if data else None) if isinstance(data, list) else data
            number = first.get("n") if isinstance(first, dict) else None
            holds = isinstance(number, int) and number > config["conditionValue"]
            return Result(data, ("true" if holds else "false",))
        case "join":
            sides = data if isinstance(data, dict) and data.keys() & {"A", "B"} else {"A": data}
            return Result(_records(sides.get("A")) + _records(sides.get("B")), ("out",))
        case "output":
            return Result(data, ("out",))
        case _:
            return None


def _with_field(data: Any, name: str, value: Any) -> Any:
    if isinstance(data, list):
        return [{**_record(item), name: value} for item in data]
    return {**_record(data), name: value}


def _record(item: Any) -> dict[str, Any]:
    if isinstance(item, dict):
        return item
    return {} if item is None else {"value": item}


def _records(side: Any) -> list[Any]:
    if side is None:
        return []
    return side if isinstance(side, list) else [side]


def recorded(state: ExecutionState) -> dict[str, Result]:
    """Return what the nodes that settled came to, as the events tell it."""
    settled = (NodeStatus.COMPLETED, NodeStatus.FAILED, NodeStatus.SKIPPED)
    return {
        name: Result(node.output, node.ports)
        for name, node in state.nodes.items()
        if node.status in settled
    }


def differences(plan: Plan, state: ExecutionState, inputs: Inputs, result: Any) -> Iterator[str]:
    """Yield how an execution differs from what the reference interpreter makes of its plan."""
    known = recorded(state)
    yield from _node_differences(plan, state, inputs, known)
    if state.status == "completed":
        yield from _whole_difference(plan, known, inputs, result)


def _node_differences(
    plan: Plan, state: ExecutionState, inputs: Inputs, known: Mapping[str, Result]
) -> Iterator[str]:
    """Each node by itself: right for what flowed in."""
    reference = Reference(plan, inputs=inputs)
    for name, found in known.items():
        node = plan.nodes[name]
        if state.nodes[name].status is NodeStatus.SKIPPED:
            continue
        if node.type == "http":
            if (problem := _request_problem(node, state)) is not None:
                yield f"{name}: {problem}"
        elif found != (wanted := pure_result(node, reference.input_of(name, known), inputs)):
            yield f"{name} gave {found}, not {wanted}"


def _request_problem(node: PlanNode, state: ExecutionState) -> str | None:
    now = state.nodes[node.id]
    behaviour = urlsplit(node.config["httpUrl"]).path.split("/")[1]
    good: dict[str, Any] = {
        "json": {"ok": True},
        "slow": {"ok": True},
        "flaky": {"ok": True},
        "drip": {"response": "." * DRIP_BYTES},
    }
    code = (now.error or {}).get("code")
    if now.status is NodeStatus.COMPLETED:
        wanted = good.get(behaviour, "nothing: it cannot succeed")
        return None if now.output == wanted else f"gave {now.output}, not {wanted}"
    # Attempts that were cut off count: one that was to succeed at last may have none left.
    may_fail = behaviour not in good or behaviour == "flaky" or code == _LATE
    return None if may_fail else f"failed with {now.error}"


def _whole_difference(
    plan: Plan, known: Mapping[str, Result], inputs: Inputs, result: Any
) -> Iterator[str]:
    """The whole walk again, from nothing but what the requests came to."""
    reference = Reference(plan, inputs=inputs)
    results: dict[str, Result] = {}
    skipped = set()
    for name in plan.order:
        # What is skipped stands among the results, passing nothing on: no need to look behind it.
        states = reference.states(name, results)
        if states and "live" not in states:
            skipped.add(name)
            results[name] = Result()
            continue
        made = pure_result(plan.nodes[name], reference.input_of(name, results), inputs)
        if made is None and name not in known:
            yield f"{name} should have run"
            return
        results[name] = known[name] if made is None else made
    if (wanted := reference.result(results)) != result:
        yield f"the result is {result}, not {wanted}"
    if extra := {name for name in known if known[name] == Result()} ^ skipped:
        yield f"skipped or not: {extra}"
