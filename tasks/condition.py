"""`condition`: sends its input one of two ways, or splits records between them."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from core.conditions import OPERATORS, Condition, canonical_operator, matches
from core.errors import NodeError
from core.expressions import TemplateError, compile_template, is_template
from tasks.config_messages import config_error, quoted
from tasks.context import NodeContext
from tasks.outcomes import Completed
from tasks.records import Row
from tasks.registry import NodeConfig, node


def _known_operator(name: str) -> str:
    """Return an operator in its proper spelling. Raises for a pydantic validator."""
    known = canonical_operator(name)
    if known is None:
        known_ones = ", ".join(OPERATORS)
        message = f"{quoted(name)} is not an operator: use one of {known_ones}."
        raise config_error("expression_invalid", message)
    return known


class AdditionalCondition(Row):
    """One more comparison."""

    field: str = Field("", description="The field of the record; dots go into objects.")
    operator: str = Field("equals", description="How it is compared.")
    value: Any = Field(None, description="What it is compared with.")

    _operator = field_validator("operator")(_known_operator)


class ConditionConfig(NodeConfig):
    """Comparisons of fields, or an expression."""

    field: str = Field(
        "",
        alias="conditionField",
        description="The field of the record; dots go into objects. Empty: the input itself.",
        examples=["customer.age"],
    )
    operator: str = Field(
        "equals",
        alias="conditionOperator",
        description="How it is compared.",
        examples=list(OPERATORS),
    )
    value: Any = Field(
        None, alias="conditionValue", description="What it is compared with.", examples=[18]
    )
    additional: list[AdditionalCondition] = Field(
        default_factory=list,
        alias="additionalConditions",
        description="More comparisons.",
        max_length=200,
    )
    logic: Literal["AND", "OR"] = Field(
        "AND", alias="logicalOperator", description="Whether all must hold or one is enough."
    )
    mode: Literal["batch", "perRow"] = Field(
        "batch",
        alias="processingMode",
        description="batch: the first record of a list decides for all; perRow: each for itself.",
    )
    expression: str | None = Field(
        None,
        alias="expression",
        description="Instead of comparisons: an expression that is true or false.",
        examples=["price * amount > 100", "{{ input.ok and not input.late }}"],
        max_length=16_384,
    )

    _operator = field_validator("operator")(_known_operator)

    @field_validator("expression")
    @classmethod
    def _expression_compiles(cls, expression: str | None) -> str | None:
        if not (expression or "").strip():
            return None
        try:
            compile_template(_as_template(str(expression)))
        except TemplateError as error:
            raise config_error("expression_invalid", str(error), final=True) from None
        return expression

    @model_validator(mode="after")
    def _says_something(self) -> "ConditionConfig":
        given = self.model_fields_set & {"field", "operator", "value", "additional"}
        if self.expression is None and not any(getattr(self, name) for name in given):
            message = 'A condition needs a "conditionField" or an "expression".'
            raise config_error("required", message, "conditionField")
        return self


@node(
    "condition",
    title="Condition",
    ports=("true", "false"),
    self_rendered=("expression",),
    pure=True,
)
async def condition(config: ConditionConfig, data: Any, context: NodeContext) -> Completed:
    """Sends its input on through the port `true` or `false`.

    In the mode batch a list goes one way as a whole: its first record decides, and an empty list
    is false. In the mode perRow the records of a list part, and a port without records is dead.
    Values that have no order (`null > 1`, `"abc" > 10`) compare as false. An expression sees
    what a template sees, for the whole input or for each record; one that gives neither true nor
    false fails with `expression_type`.
    """
    if config.mode == "perRow" and isinstance(data, list):
        return _parted(config, data, context)
    if isinstance(data, list) and config.expression is None:
        verdict = bool(data) and _holds(config, data[0], context)
    else:
        verdict = _holds(config, data, context)
    details = {
        "conditionResult": verdict,
        "trueRecords": _count(data) if verdict else 0,
        "falseRecords": 0 if verdict else _count(data),
    }
    return Completed(data, ports=("true" if verdict else "false",), details=details)


def _parted(config: ConditionConfig, records: list[Any], context: NodeContext) -> Completed:
    sides: dict[str, list[Any]] = {"true": [], "false": []}
    for record in records:
        sides["true" if _holds(config, record, context) else "false"].append(record)
    details = {
        "conditionResult": bool(sides["true"]),
        "trueRecords": len(sides["true"]),
        "falseRecords": len(sides["false"]),
    }
    live = {port: part for port, part in sides.items() if part}
    return Completed(records, ports=tuple(live), by_port=live, details=details)


def _count(data: Any) -> int:
    return len(data) if isinstance(data, list) else 1


def _holds(config: ConditionConfig, record: Any, context: NodeContext) -> bool:
    if config.expression is not None:
        return _truth(context.render(_as_template(config.expression), record))
    first = Condition(config.field, config.operator, config.value)
    more = [Condition(row.field, row.operator, row.value) for row in config.additional]
    unused = config.additional and not config.model_fields_set & {"field", "value"}
    return matches(record, more if unused else [first, *more], config.logic)


def _as_template(expression: str) -> str:
    return expression if is_template(expression) else f"{{{{ {expression} }}}}"


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    message = f"The expression must give true or false, not {quoted(value)}."
    raise NodeError(message, code="expression_type")
