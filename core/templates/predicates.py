"""The tests that follow `is`, and that `select` and `reject` name."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from core.templates.errors import cannot
from core.templates.limits import Run
from core.templates.operators import arithmetic, compare
from core.templates.values import Missing, is_number, kind

Predicate = Callable[..., bool]


def _remainder(run: Run, value: Any, divisor: Any) -> Any:
    if not is_number(value):
        raise cannot(f"This test needs a number, not {kind(value)}.")
    return arithmetic(run, "%", value, divisor)


def _even(run: Run, value: Any, /) -> bool:
    return bool(_remainder(run, value, 2) == 0)


def _odd(run: Run, value: Any, /) -> bool:
    return bool(_remainder(run, value, 2) == 1)


def _divisible(run: Run, value: Any, num: Any, /) -> bool:
    return bool(_remainder(run, value, num) == 0)


def _comparison(sign: str) -> Predicate:
    def test(run: Run, value: Any, other: Any, /) -> bool:
        return compare(run, sign, value, other)

    return test


def _of_type(*types: type) -> Predicate:
    def test(_run: Run, value: Any, /) -> bool:
        return isinstance(value, types) and not (isinstance(value, bool) and bool not in types)

    return test


def _same(constant: object) -> Predicate:
    def test(_run: Run, value: Any, /) -> bool:
        return value is constant

    return test


def _defined(_run: Run, value: Any, /) -> bool:
    return not isinstance(value, Missing)


def _undefined(_run: Run, value: Any, /) -> bool:
    return isinstance(value, Missing)


TAKES_MISSING = frozenset({"defined", "undefined"})

PREDICATES: Mapping[str, Predicate] = {
    "defined": _defined,
    "undefined": _undefined,
    "none": _same(None),
    "true": _same(True),
    "false": _same(False),
    "boolean": _of_type(bool),
    "string": _of_type(str),
    "number": _of_type(int, float),
    "integer": _of_type(int),
    "float": _of_type(float),
    "date": _of_type(date),
    "mapping": _of_type(Mapping),
    "sequence": _of_type(list, tuple),
    "iterable": _of_type(list, tuple, Mapping),
    "even": _even,
    "odd": _odd,
    "divisibleby": _divisible,
    "in": _comparison("in"),
    **dict.fromkeys(("eq", "equalto", "=="), _comparison("eq")),
    **dict.fromkeys(("ne", "!="), _comparison("ne")),
    **dict.fromkeys(("lt", "lessthan", "<"), _comparison("lt")),
    **dict.fromkeys(("le", "<="), _comparison("lteq")),
    **dict.fromkeys(("gt", "greaterthan", ">"), _comparison("gt")),
    **dict.fromkeys(("ge", ">="), _comparison("gteq")),
}
