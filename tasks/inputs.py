"""`manualInput`: a value that a person gives, in the workflow or when starting it."""

import re
from typing import Any

import orjson
from pydantic import AliasChoices, Field

from tasks.context import NodeContext
from tasks.registry import NodeConfig, node

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?")
_EXACT = 2**53 - 1


class ManualInputConfig(NodeConfig):
    """The name of the value and the value itself."""

    name: str = Field(
        "input",
        validation_alias=AliasChoices("inputVarName", "manualInputVarName", "variableName"),
        description="The name under which the value flows on.",
        max_length=200,
        examples=["city"],
    )
    value: Any = Field(
        None,
        validation_alias=AliasChoices("inputVarValue", "manualInputVarValue", "variableValue"),
        description="The value. Text that is a JSON number becomes one.",
        examples=["Lisbon", 21],
    )


@node("manualInput", title="Manual input", pure=True)
async def manual_input(config: ManualInputConfig, _data: Any, context: NodeContext) -> Any:
    """Gives `{name: value}`. An input given for the node replaces the value in the workflow.

    Form fields only hold text, so text in the workflow that is a JSON number becomes a number:
    `"21"` does; `"007"`, `"1,5"` and integers that lose digits as a 64-bit float stay text. An
    input given for the node has a type of its own and is taken as it is, also when it is `0`,
    `""` or `null`; an object whose only key is the name is the output itself.
    """
    name = config.name or "input"
    if context.node_id not in context.inputs:
        return {name: number_or_text(config.value)}
    given = context.inputs[context.node_id]
    if isinstance(given, dict) and list(given) == [name]:
        return given
    return {name: given}


def number_or_text(value: Any) -> Any:
    """Return the number that a text spells exactly, or the value itself."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value.strip()):
        return value
    number = orjson.loads(value.strip())
    return number if abs(number) <= _EXACT else value
