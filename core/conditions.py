"""The operators of a `condition`: total functions on JSON values, they never raise for a value.

Two values are equal when both look like numbers and are the same number (`5`, `5.0`, `"5"`), or
else when their texts are the same: `true` is `"true"`, null is the empty text, lists and objects
are compact JSON. An order holds only between two numbers, or two texts of which neither looks
like a number (so ISO 8601 dates are in order); anything else is false: null > 1, "abc" > 10.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from core.templates.values import ABSENT, field

_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\s*")
_MAX_NUMBER = 64  # characters of a text that may look like a number


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of one field of a record with a value. `field` may be a dotted path."""

    field: str
    operator: str = "equals"
    value: Any = None


def field_value(record: Any, field_name: str) -> Any:
    """Return a field of a record, null if it has none.

    A key that is exactly `field_name` wins; else its dots part keys and list indexes. The empty
    name is the record itself.
    """
    if field_name == "":
        return record
    found = field(record, field_name)
    return None if found is ABSENT else found


def canonical_operator(name: str) -> str | None:
    """Return the operator as `evaluate` knows it, or None for an unknown one.

    The empty name is `equals`. Case, `_`, `-` and spaces do not count: `not_equals`, `notEquals`.
    """
    key = re.sub(r"[_\-\s]", "", name).lower()
    return _NAMES.get(_SHORT_NAMES.get(key, key)) if key else "equals"


def evaluate(operator: str, left: Any, right: Any) -> bool:
    """Compare a field's value with a condition's. Raises ValueError for an unknown operator."""
    name = canonical_operator(operator)
    if name is None:
        raise ValueError(f"There is no operator {operator[:64]!r}.")
    return _OPERATORS[name](left, right)


def matches(
    record: Any, conditions: Sequence[Condition], logic: Literal["AND", "OR"] = "AND"
) -> bool:
    """Tell whether all (`AND`) or any (`OR`) of the conditions hold; without any, it is true.

    Raises ValueError for an unknown operator.
    """
    verdicts = [
        evaluate(each.operator, field_value(record, each.field), each.value) for each in conditions
    ]
    return any(verdicts) or not verdicts if logic == "OR" else all(verdicts)


def _number(value: Any) -> Decimal | None:
    """Read what looks like a number: true and false do not, nor do NaN and infinity."""
    if isinstance(value, str):
        looks = len(value) <= _MAX_NUMBER and _NUMBER.fullmatch(value)
        return Decimal(value.strip()) if looks else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    return Decimal(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _equals(left: Any, right: Any) -> bool:
    numbers = _number(left), _number(right)
    if None not in numbers:
        return numbers[0] == numbers[1]
    return _text(left) == _text(right)


def _contains(left: Any, right: Any) -> bool:
    if isinstance(left, list | tuple):
        return any(_equals(item, right) for item in left)
    if isinstance(left, Mapping):
        return _text(right) in left
    return left is not None and _text(right) in _text(left)


def _compare(left: Any, right: Any) -> int | None:
    """Return -1, 0 or 1, or None for values that have no order between them."""
    first, second = _number(left), _number(right)
    if first is not None and second is not None:
        return (first > second) - (first < second)
    if first is not None or second is not None:
        return None
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    return None


def _is_empty(left: Any, _right: Any) -> bool:
    return left is None or (isinstance(left, str | list | tuple | Mapping) and not left)


def _not(operator: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: not operator(left, right)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": _equals,
    "notEquals": _not(_equals),
    "contains": _contains,
    "notContains": _not(_contains),
    "startsWith": lambda left, right: _text(left).startswith(_text(right)),
    "endsWith": lambda left, right: _text(left).endswith(_text(right)),
    "greaterThan": lambda left, right: _compare(left, right) == 1,
    "lessThan": lambda left, right: _compare(left, right) == -1,
    "greaterOrEqual": lambda left, right: _compare(left, right) in (0, 1),
    "lessOrEqual": lambda left, right: _compare(left, right) in (0, -1),
    "isEmpty": _is_empty,
    "isNotEmpty": _not(_is_empty),
    "isText": lambda left, _right: isinstance(left, str) and _number(left) is None,
    "isNumber": lambda left, _right: _number(left) is not None,
}
_NAMES = {name.lower(): name for name in _OPERATORS}
_SHORT_NAMES = {
    "==": "equals",
    "eq": "equals",
    "!=": "notequals",
    "ne": "notequals",
    "neq": "notequals",
    ">": "greaterthan",
    "gt": "greaterthan",
    "<": "lessthan",
    "lt": "lessthan",
    ">=": "greaterorequal",
    "gte": "greaterorequal",
    "greaterthanorequal": "greaterorequal",
    "<=": "lessorequal",
    "lte": "lessorequal",
    "lessthanorequal": "lessorequal",
}
OPERATORS = tuple(_OPERATORS)
"""The operators' names."""
