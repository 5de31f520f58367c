"""`addField`: sets fields of records."""

from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices, Field, field_validator, model_validator

from core.errors import NodeError
from core.expressions import check_value, is_template
from tasks.config_messages import config_error, quoted
from tasks.context import NodeContext
from tasks.records import Record, Row, each_record
from tasks.registry import NodeConfig, node

DEEPEST = 16
"""Parts of a path."""

LONGEST_PATH = 500
"""Characters."""

_REFUSED = frozenset({"constructor", "prototype"})
RESERVED = frozenset({"execution", "inputs", "nodes", "now", "workflow"})
"""Names that the service gives to templates: a field of such a name could not be read there."""


def check_path(path: str) -> str:
    """Return a path of names and dots, as it is. Raises for a pydantic validator."""
    if is_template(path):
        return path
    parts = path.split(".")
    if not all(part.strip() for part in parts):
        problem = f"{quoted(path)} is no name of a field: names are joined by single dots."
    elif len(parts) > DEEPEST or len(path) > LONGEST_PATH:
        problem = f"A field may be {DEEPEST} names deep and {LONGEST_PATH} characters long."
    elif any(part in _REFUSED or part.startswith("__") for part in parts):
        problem = f"{quoted(path)} holds a name that programs keep for themselves."
    elif parts[0] in RESERVED:
        message = f'Templates know "{parts[0]}" as something else: choose another name.'
        raise config_error("field_reserved", message)
    else:
        return path
    raise config_error("field_path", problem)


def _check_value(value: Any) -> Any:
    """Check the templates in a value, which the node renders itself."""
    for problem in check_value({"value": value}, frozenset()):
        raise config_error(problem.code, problem.message, final=True)
    return value


class FieldRow(Row):
    """One more field."""

    name: str = Field(description="The field; dots make nested objects.", examples=["price.total"])
    value: Any = Field(None, description="Its value; templates see the fields of the record.")

    _name = field_validator("name")(check_path)
    _value = field_validator("value")(_check_value)


class AddFieldConfig(NodeConfig):
    """A field and its value, and more of them."""

    name: str | None = Field(
        None,
        validation_alias=AliasChoices("fieldName", "addFieldName", "conditionField"),
        description="The field; dots make nested objects.",
        examples=["total", "customer.name"],
    )
    value: Any = Field(
        None,
        validation_alias=AliasChoices("fieldValue", "addFieldValue", "conditionValue"),
        description="Its value; templates in it see the fields of the record.",
        examples=["{{ price * amount }}"],
    )
    fields: list[FieldRow] = Field(
        default_factory=list, description="More fields, set after the first one.", max_length=200
    )

    _value = field_validator("value")(_check_value)

    @field_validator("name")
    @classmethod
    def _path_is_valid(cls, name: str | None) -> str | None:
        return check_path(name) if name is not None else None

    @model_validator(mode="after")
    def _has_a_field(self) -> "AddFieldConfig":
        if self.name is None and not self.fields:
            raise config_error("required", '"fieldName" is required.', "fieldName")
        return self

    def rows(self) -> list[tuple[str, Any]]:
        """Return all names and values in their order."""
        first = [] if self.name is None else [(self.name, self.value)]
        return [*first, *((row.name, row.value) for row in self.fields)]


@node(
    "addField",
    title="Add field",
    pure=True,
    self_rendered=("fieldValue", "addFieldValue", "conditionValue", "fields"),
)
async def add_field(config: AddFieldConfig, data: Any, context: NodeContext) -> Any:
    """Sets fields of one record, or of each record of a list.

    Templates in a value are rendered for each record, whose fields are names in them; a field
    set earlier can be used by a later one. A name with dots makes nested objects; it fails with
    `field_path` where something else is in the way. A single value becomes `{"value": …}` first.
    """

    def extended(record: Record) -> Record:
        for name, value in config.rows():
            record = with_field(record, name.split("."), context.render(value, record))
        return record

    return each_record(data, extended)


def with_field(record: Record, path: list[str], value: Any) -> dict[str, Any]:
    """Return a copy of a record with the field at `path` set. Raises `NodeError`."""
    head, *rest = path
    if not rest:
        return {**record, head: value}
    inner = record.get(head)
    if inner is None:
        inner = {}
    if not isinstance(inner, Mapping):
        message = f"The field {quoted(head)} holds {quoted(inner)}: nothing can be put inside it."
        raise NodeError(message, code="field_path")
    return {**record, head: with_field(inner, rest, value)}
