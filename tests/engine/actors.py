"""Node types whose every move a test decides, and the record of their calls."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from core.errors import NodeError
from tasks.context import NodeContext
from tasks.load import load_node_types
from tasks.outcomes import Completed
from tasks.registry import NodeConfig, Registry, node


class ValueConfig(NodeConfig):
    """A value to return."""

    value: Any = None


class GateConfig(NodeConfig):
    """A gate to wait at; `stubborn` seconds of deafness to being cut off."""

    gate: str = "gate"
    stubborn: float = 0


class FlakyConfig(NodeConfig):
    """How often to fail before success."""

    times: int = 1
    code: str = "flaky"
    retryable: bool = True


class ScriptConfig(NodeConfig):
    """Which of its ports to leave through, or to fail."""

    ports: tuple[str, ...] = Field(("out",), strict=False)
    choose: tuple[str, ...] = Field(("out",), strict=False)
    fail: bool = False


@dataclass
class Calls:
    """What was called: by node id, with the inputs in order; how many run at once."""

    inputs: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    attempts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    gates: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    running: set[tuple[str, str]] = field(default_factory=set)
    most_at_once: int = 0
    cut_off: list[str] = field(default_factory=list)

    def called(self, data: Any, context: NodeContext) -> int:
        """Note a call; return how often this node of this execution was called so far."""
        self.inputs[context.node_id].append(data)
        self.attempts[context.node_id].append(context.attempt)
        self.counts[context.execution_id, context.node_id] += 1
        return self.counts[context.execution_id, context.node_id]


def registry_of(calls: Calls) -> Registry:
    """Return all built-in types, and those of this module, which report to `calls`."""
    registry = Registry()
    for node_type in load_node_types().types().values():
        registry.add(node_type)
    _add_values(registry, calls)
    _add_gates(registry, calls)
    _add_failures(registry, calls)
    return registry


def _add_values(registry: Registry, calls: Calls) -> None:
    @node("value", pure=True, registry=registry)
    async def value(config: ValueConfig, data: Any, context: NodeContext) -> Any:
        calls.called(data, context)
        return config.value

    @node("pass", pure=True, registry=registry)
    async def pass_on(_config: ValueConfig, data: Any, context: NodeContext) -> Any:
        calls.called(data, context)
        return data

    @node("effect", registry=registry)
    async def effect(config: ValueConfig, data: Any, context: NodeContext) -> Any:
        calls.called(data, context)
        return config.value

    @node("script", ports=lambda config: tuple(config.get("ports", ["out"])), registry=registry)
    async def script(config: ScriptConfig, data: Any, context: NodeContext) -> Completed:
        calls.called(data, context)
        await asyncio.sleep(0)
        if config.fail:
            raise NodeError("as scripted", code="scripted")
        return Completed({"from": context.node_id, "got": data}, ports=config.choose)


def _add_gates(registry: Registry, calls: Calls) -> None:
    @node("gate", registry=registry)
    async def gate(config: GateConfig, data: Any, context: NodeContext) -> Any:
        calls.called(data, context)
        key = (context.execution_id, context.node_id)
        calls.running.add(key)
        calls.most_at_once = max(calls.most_at_once, len(calls.running))
        try:
            await calls.gates[config.gate].wait()
        except asyncio.CancelledError:
            calls.cut_off.append(context.node_id)
            if config.stubborn:
                await _deaf_for(config.stubborn)
            raise
        finally:
            calls.running.discard(key)
        return data


async def _deaf_for(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue


def _add_failures(registry: Registry, calls: Calls) -> None:
    @node("flaky", registry=registry)
    async def flaky(config: FlakyConfig, data: Any, context: NodeContext) -> Any:
        if calls.called(data, context) <= config.times:
            raise NodeError("not yet", code=config.code, retryable=config.retryable)
        return "at last"
