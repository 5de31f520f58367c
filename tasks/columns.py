"""Nodes that choose or rename the fields of records: `splitColumns` and `action`."""

from typing import Any

from pydantic import Field, field_validator

from tasks.context import NodeContext
from tasks.outcomes import Completed
from tasks.records import Record, Row, each_record
from tasks.registry import NodeConfig, node


class SplitColumnsConfig(NodeConfig):
    """Which fields go which way."""

    columns_a: list[str] = Field(
        default_factory=list,
        alias="columnsOutputA",
        description="Fields that leave through port A: a list, or text separated by commas.",
        examples=[["id", "name"]],
    )
    columns_b: list[str] = Field(
        default_factory=list,
        alias="columnsOutputB",
        description="Fields that leave through port B. A field may go both ways.",
        examples=[["id", "price"]],
    )

    @field_validator("columns_a", "columns_b", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [name.strip() for name in value.split(",") if name.strip()]
        return value


@node("splitColumns", title="Split columns", ports=("A", "B"), pure=True)
async def split_columns(config: SplitColumnsConfig, data: Any, _context: NodeContext) -> Completed:
    """Sends some fields of each record through port A and some through port B.

    Fields keep their order in the list of names; a field that a record does not have is left out.
    """
    sides = {"A": _only(data, config.columns_a), "B": _only(data, config.columns_b)}
    return Completed(sides, ports=("A", "B"), by_port=sides)


def _only(data: Any, names: list[str]) -> Any:
    def chosen(record: Record) -> Record:
        return {name: record[name] for name in names if name in record}

    return each_record(data, chosen)


class ColumnRename(Row):
    """One field and its new name."""

    old_name: str = Field("", alias="oldName", description="The name of the field.")
    new_name: str = Field("", alias="newName", description="Its new name.")


class ActionConfig(NodeConfig):
    """New names of fields."""

    renames: list[ColumnRename] = Field(
        default_factory=list,
        alias="columnRenames",
        description="Fields and their new names; rows with an empty name are ignored.",
        examples=[[{"oldName": "nom", "newName": "name"}]],
    )


@node("action", title="Rename columns", pure=True)
async def action(config: ActionConfig, data: Any, _context: NodeContext) -> Any:
    """Renames fields of each record, all at once, so that two can swap their names.

    The order of the fields stays. Where a new name is that of another field, the renamed one wins.
    """
    names = {row.old_name: row.new_name for row in config.renames if row.old_name and row.new_name}
    return each_record(data, lambda record: _renamed(record, names))


def _renamed(record: Record, names: dict[str, str]) -> dict[str, Any]:
    winners = {new: record[old] for old, new in names.items() if old in record}
    named = ((names.get(field, field), value) for field, value in record.items())
    return {name: winners.get(name, value) for name, value in named}
