"""What the graph rules must know of a node type, without knowing how it runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import Problem

KEY_IGNORED = "config_key_ignored"
"""Code of the warning about a key that another node type left behind: it has no meaning here."""

Config = Mapping[str, Any]


def one_port(_config: Config) -> tuple[str, ...]:
    """The ports of most node types: a single `out`."""
    return ("out",)


def no_problems(_config: Config) -> list[Problem]:
    """Accept any configuration."""
    return []


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """The rules of one node type.

    `check_config` returns problems whose pointers are relative to the node's `config`
    (`/httpUrl`), for configuration as a user saved it: templates not rendered yet. Every string
    of the configuration is a template, unless its top-level key is in `verbatim`; those of them in
    `self_rendered` hold templates that the node renders and checks itself. `ports` may be
    called with any configuration, valid or not. `min_inputs` is the least number of connections.
    """

    name: str
    title: str = ""
    ports: Callable[[Config], tuple[str, ...]] = one_port
    input_ports: tuple[str, ...] = ()
    check_config: Callable[[Config], list[Problem]] = no_problems
    verbatim: frozenset[str] = frozenset()
    self_rendered: frozenset[str] = frozenset()
    executable: bool = True
    trigger: bool = False
    terminal: bool = False
    min_inputs: int = 0


Catalogue = Mapping[str, NodeSpec]
