"""Records: what nodes that transform data take their input for."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ConfigDict

from tasks.registry import NodeConfig

Record = Mapping[str, Any]


class Row(NodeConfig):
    """A row of a list inside a configuration: front ends add keys of their own (`id`)."""

    model_config = ConfigDict(extra="ignore")


def as_record(value: Any) -> Record:
    """Return a value as a record: `null` is an empty one, a single value becomes `{value: …}`."""
    if isinstance(value, Mapping):
        return value
    return {} if value is None else {"value": value}


def each_record(data: Any, change: Callable[[Record], Any]) -> Any:
    """Apply `change` to the input if it is one record, or to each record of a list."""
    if isinstance(data, list):
        return [change(as_record(item)) for item in data]
    return change(as_record(data))


def as_records(side: Any) -> list[Any]:
    """Return one side of a join as a list: an absent side is empty, a single value is one item."""
    if side is None:
        return []
    return side if isinstance(side, list) else [side]
