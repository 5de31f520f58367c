"""What the operators of an expression do: on plain values only, with bounded results."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from core.templates.errors import cannot, limit_reached
from core.templates.limits import CHUNK, ITEM, Run
from core.templates.values import bounded, is_number, kind, text, weigh

_MAX_POWER_BITS = 64
_SLOW_SEARCH = 100
_NUMERIC: dict[str, Callable[[Any, Any], Any]] = {
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}


def arithmetic(run: Run, sign: str, left: Any, right: Any) -> Any:
    """Apply `+ - * / // % **`. `+` also joins two texts or two lists; the rest is for numbers."""
    if is_number(left) and is_number(right):
        return bounded(_calculate(sign, left, right))
    if sign == "+":
        return _add(run, left, right)
    raise cannot(f"{sign} needs two numbers, not {kind(left)} and {kind(right)}.")


def _calculate(sign: str, left: Any, right: Any) -> Any:
    if sign == "+":
        return left + right
    if sign == "**":
        return _power(left, right)
    try:
        return _NUMERIC[sign](left, right)
    except ZeroDivisionError:
        raise cannot("A number cannot be divided by zero.") from None


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if base not in (0, 1, -1) and base.bit_length() * exponent > 2 * _MAX_POWER_BITS:
            raise limit_reached("The number is too large.")
        return base ** (exponent % 2 + 2 if base == -1 else exponent)
    try:
        result = float(base) ** float(exponent)
    except ZeroDivisionError:
        raise cannot("Zero has no negative power.") from None
    if isinstance(result, complex):
        raise cannot("A negative number has no such power.")
    return result


def _add(run: Run, left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        run.make(len(left) + len(right))
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        run.spend(ITEM * (len(left) + len(right)))
        return left + right
    message = f"+ needs two numbers, two texts or two lists, not {kind(left)} and {kind(right)}."
    raise cannot(message + " To join texts of anything, use ~.")


def negative(value: Any, sign: str) -> Any:
    """Apply a sign to a number."""
    if not is_number(value):
        raise cannot(f"A sign needs a number, not {kind(value)}.")
    return bounded(-value if sign == "-" else value)


def concatenate(run: Run, values: list[Any]) -> str:
    """Join values as texts: the `~` operator."""
    parts = [text(run, value) for value in values]
    run.make(sum(map(len, parts)))
    return "".join(parts)


def compare(run: Run, sign: str, left: Any, right: Any) -> bool:
    """Apply `eq ne lt lteq gt gteq in notin`. An order needs two numbers or two texts."""
    if sign == "eq":
        return _equal(run, left, right)
    if sign == "ne":
        return not _equal(run, left, right)
    if sign == "in":
        return _contains(run, right, left)
    if sign == "notin":
        return not _contains(run, right, left)
    texts = isinstance(left, str) and isinstance(right, str)
    if not texts and not (is_number(left) and is_number(right)):
        raise cannot(
            f"An order needs two numbers or two texts, not {kind(left)} and {kind(right)}."
        )
    if texts:
        run.spend(min(len(left), len(right)) // CHUNK)
    return _ORDER[sign](left, right)


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _equal(run: Run, left: Any, right: Any) -> bool:
    if _is_container(left) and _is_container(right):
        weigh(run, left)
        weigh(run, right)
    elif isinstance(left, str):
        run.spend(len(left) // CHUNK)
    return bool(left == right)


def _contains(run: Run, container: Any, item: Any) -> bool:
    if isinstance(container, str):
        if not isinstance(item, str):
            raise cannot(f"A text can contain a text, not {kind(item)}.")
        # A search in a short text may compare every character with every other.
        run.spend(len(container) * (4 + min(len(item), _SLOW_SEARCH)) // (4 * CHUNK))
        return item in container
    if isinstance(container, Mapping):
        return isinstance(item, str) and item in container
    if not isinstance(container, list | tuple):
        raise cannot(f'"in" needs a list, an object or a text, not {kind(container)}.')
    if _is_container(item):
        weigh(run, container)
    else:
        each = len(item) // CHUNK if isinstance(item, str) else 0
        run.spend(len(container) * (ITEM + each))
    return item in container
