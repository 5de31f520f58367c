"""The node types that this process knows, and the decorator that adds one."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict

from core.catalogue import Catalogue, NodeSpec, one_port
from core.errors import ConfigError
from core.policy import RetryPolicy
from tasks.config_check import check_config, register_keys
from tasks.context import NodeContext

NodeFunction = Callable[[Any, Any, NodeContext], Awaitable[Any]]
Ports = tuple[str, ...] | Callable[[Mapping[str, Any]], tuple[str, ...]]
_F = TypeVar("_F", bound=NodeFunction)


class NodeConfig(BaseModel):
    """Base of every node's configuration: unknown keys and loose types are refused."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, populate_by_name=True, allow_inf_nan=False
    )


@dataclass(frozen=True, slots=True)
class NodeType:
    """A node type: its rules for graphs (`spec`), its configuration and its function.

    `pure` says that running the node again does no harm and touches nothing outside.
    `timeout` (seconds) and `retry` hold where a node does not set its own. `origin` tells where
    the type is defined.
    """

    spec: NodeSpec
    config_model: type[NodeConfig]
    run: NodeFunction
    pure: bool = False
    timeout: float | None = None
    retry: Callable[[Mapping[str, Any]], RetryPolicy] | None = None
    description: str = ""
    origin: str = ""


class Registry:
    """Node types by name. A name is given once."""

    def __init__(self) -> None:
        self._types: dict[str, NodeType] = {}

    def add(self, node_type: NodeType) -> None:
        """Add a node type. Raises `ConfigError` when its name is taken."""
        name = node_type.spec.name
        if name in self._types:
            places = f"{self._types[name].origin} and {node_type.origin}"
            raise ConfigError(f'Two node types are named "{name}" ({places}): rename one of them.')
        self._types[name] = node_type
        register_keys(node_type.config_model)

    def types(self) -> Mapping[str, NodeType]:
        """Return all node types by name."""
        return self._types

    def catalogue(self) -> Catalogue:
        """Return the rules of all node types by name, for `core.graph`."""
        return {name: node_type.spec for name, node_type in self._types.items()}


BUILT_IN = Registry()
"""Filled by `@node` when the modules of this package are imported."""


def node(
    name: str,
    *,
    title: str = "",
    ports: Ports = ("out",),
    input_ports: tuple[str, ...] = (),
    min_inputs: int = 0,
    verbatim: tuple[str, ...] = (),
    self_rendered: tuple[str, ...] = (),
    pure: bool = False,
    executable: bool = True,
    trigger: bool = False,
    terminal: bool = False,
    timeout: float | None = None,
    retry: Callable[[Mapping[str, Any]], RetryPolicy] | None = None,
    registry: Registry = BUILT_IN,
) -> Callable[[_F], _F]:
    """Register an async function `(config, data, context)` as the node type `name`.

    The annotation of its first parameter is the model of the configuration, a `NodeConfig`. Its
    docstring is the type's description. It returns the node's output (any JSON value) or an
    outcome (`tasks.outcomes`), and raises `NodeError` to fail. `verbatim` names the
    configuration keys that hold no template, `self_rendered` those whose templates the function
    renders itself.
    """

    def register(function: _F) -> _F:
        model = config_model_of(function)
        spec = NodeSpec(
            name=name,
            title=title or name,
            ports=_always(ports) if isinstance(ports, tuple) else ports,
            input_ports=input_ports,
            check_config=lambda config: check_config(model, config),
            verbatim=frozenset(verbatim + self_rendered),
            self_rendered=frozenset(self_rendered),
            executable=executable,
            trigger=trigger,
            terminal=terminal,
            min_inputs=min_inputs,
        )
        origin = f"{function.__module__}.{function.__qualname__}"
        description = inspect.getdoc(function) or ""
        registry.add(NodeType(spec, model, function, pure, timeout, retry, description, origin))
        return function

    return register


def _always(ports: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[str, ...]]:
    return lambda _config: ports


def config_model_of(function: Callable[..., Any]) -> type[NodeConfig]:
    """Return the configuration model that the first parameter is annotated with."""
    first = next(iter(inspect.signature(function).parameters), "")
    model = get_type_hints(function).get(first)
    if not (isinstance(model, type) and issubclass(model, NodeConfig)):
        raise ConfigError(
            f"The first parameter of {function.__qualname__} must be annotated with a NodeConfig."
        )
    return model


__all__ = ["BUILT_IN", "NodeConfig", "NodeFunction", "NodeType", "Registry", "node", "one_port"]
