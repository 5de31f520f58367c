"""Strict readers of single JSON values. Each returns the value, or records an error and None."""

from collections.abc import Iterable, Mapping
from typing import Any

from core.findings import Place, quote, quote_all


def read_object(place: Place, value: Any) -> Mapping[str, Any] | None:
    """Return a JSON object."""
    if isinstance(value, Mapping):
        return value
    place.error("type_object_expected", f"Write an object here, not {quote(value)}.")
    return None


def read_array(place: Place, value: Any) -> list[Any] | None:
    """Return a JSON array."""
    if isinstance(value, list | tuple):
        return list(value)
    place.error("type_array_expected", f"Write an array here, not {quote(value)}.")
    return None


def read_string(place: Place, value: Any, longest: int | None = None) -> str | None:
    """Return a string of at most `longest` characters."""
    if not isinstance(value, str):
        place.error("type_string_expected", f"Write a string here, not {quote(value)}.")
        return None
    if longest is not None and len(value) > longest:
        place.error(
            "too_long", f"{quote(value)} has {len(value):,} characters: use at most {longest}."
        )
        return None
    return value


def read_boolean(place: Place, value: Any) -> bool | None:
    """Return true or false."""
    if isinstance(value, bool):
        return value
    place.error("type_boolean_expected", f"Write true or false here, not {quote(value)}.")
    return None


def read_integer(place: Place, value: Any, low: int, high: int) -> int | None:
    """Return an integer from `low` to `high`. A boolean is none, and neither is 3.0."""
    if isinstance(value, bool) or not isinstance(value, int):
        place.error(
            "type_integer_expected",
            f"Write a whole number from {low} to {high} here, not {quote(value)}.",
        )
        return None
    if not low <= value <= high:
        place.error("number_range", f"{quote(value)} is not from {low} to {high}.")
        return None
    return value


def read_number(
    place: Place, value: Any, low: float, high: float, *, above: bool = False
) -> float | None:
    """Return a number from `low` (or, with `above`, greater than `low`) to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        place.error("type_number_expected", f"Write a number here, not {quote(value)}.")
        return None
    if not low <= value <= high or (above and value == low):
        bounds = f"greater than {low:g} and at most" if above else f"from {low:g} to"
        place.error("number_range", f"{quote(value)} is not {bounds} {high:,g}.")
        return None
    return float(value)


def read_choice(place: Place, value: Any, choices: Iterable[str]) -> str | None:
    """Return one of the words `choices`, matched exactly."""
    known = tuple(choices)
    if isinstance(value, str) and value in known:
        return value
    place.error("value_unknown", f"{quote(value)} is not known here: use {quote_all(known)}.")
    return None


def refuse_unknown(place: Place, given: Mapping[str, Any], known: Iterable[str]) -> None:
    """Record an error for every key of `given` that is not in `known`."""
    allowed = frozenset(known)
    for key in given:
        if key not in allowed:
            place.at(key).error(
                "field_unknown", f"The field {quote(key)} is not known here: remove it."
            )
