"""Filters on lists and objects. Fields of items are looked up by key, never as attributes."""

from collections.abc import Callable, Mapping
from typing import Any

from core.templates.errors import TemplateError, cannot, clip
from core.templates.limits import ITEM, Run
from core.templates.operators import arithmetic
from core.templates.predicates import PREDICATES
from core.templates.values import ABSENT, Missing, dump, field, is_number, kind, member, text, weigh

_SORT = 4 * ITEM
_MAX_ATTRIBUTE = 256


def items_of(run: Run, value: Any, cost: int = ITEM) -> list[Any]:
    """Return the items of a list, the keys of an object or the characters of a text."""
    if not isinstance(value, list | tuple | Mapping | str):
        raise cannot(f"This needs a list, not {kind(value)}.")
    run.spend(cost * len(value))
    return list(value)


def _object(run: Run, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise cannot(f"This needs an object, not {kind(value)}.")
    run.spend(ITEM * len(value))
    return value


def pick(item: Any, attribute: Any, default: Any = ABSENT) -> Any:
    """Return the field `attribute` (key, dotted path or index) of an item. Strict: else raises."""
    if not isinstance(attribute, str):
        found = member(item, attribute)
    elif len(attribute) > _MAX_ATTRIBUTE:
        raise cannot(f"The name of a field has at most {_MAX_ATTRIBUTE} characters here.")
    else:
        found = field(item, attribute)
    if found is not ABSENT:
        return found
    if default is not ABSENT:
        return default
    raise Missing(f"item.{attribute}").error()


def _picked(run: Run, value: Any, attribute: Any, cost: int = ITEM) -> list[Any]:
    items = items_of(run, value, cost)
    return items if attribute is None else [pick(item, attribute) for item in items]


def length(_run: Run, value: Any, /) -> int:
    """Count items, keys or characters."""
    if not isinstance(value, list | tuple | Mapping | str):
        raise cannot(f"length needs a list, an object or a text, not {kind(value)}.")
    return len(value)


def first(_run: Run, value: Any, /) -> Any:
    """Take the first item, if there is one."""
    return _end(value, 0, "first")


def last(_run: Run, value: Any, /) -> Any:
    """Take the last item, if there is one."""
    return _end(value, -1, "last")


def _end(value: Any, index: int, name: str) -> Any:
    if not isinstance(value, list | tuple | str):
        raise cannot(f"{name} needs a list, not {kind(value)}.")
    return value[index] if value else Missing(f"the {name} item of an empty list")


def join(run: Run, value: Any, /, d: Any = "", attribute: Any = None) -> str:
    """Join items as texts with `d` between them."""
    separator = text(run, d)
    parts = [text(run, item) for item in _picked(run, value, attribute)]
    run.make(sum(map(len, parts)) + len(separator) * max(0, len(parts) - 1))
    return separator.join(parts)


def sum_filter(run: Run, value: Any, /, attribute: Any = None, start: Any = 0) -> Any:
    """Add numbers up."""
    total = start
    for item in _picked(run, value, attribute):
        total = arithmetic(run, "+", total, item)
        if not is_number(total):
            raise cannot("sum adds numbers only.")
    return total


def _rank(item: Any) -> Any:
    if isinstance(item, str):
        return item.casefold()
    if isinstance(item, int | float):
        return item
    raise cannot(f"Only numbers or texts can be put in order, not {kind(item)}.")


def _ranks(run: Run, items: list[Any], attribute: Any) -> list[Any]:
    ranks = [_rank(item if attribute is None else pick(item, attribute)) for item in items]
    for rank in ranks:
        run.spend(len(rank) if isinstance(rank, str) else 1)
    if len({isinstance(rank, str) for rank in ranks}) > 1:
        raise cannot("Numbers and texts cannot be put in one order.")
    return ranks


def sort(run: Run, value: Any, /, reverse: Any = False, attribute: Any = None) -> list[Any]:
    """Put numbers or texts in order (capitals do not count), or items by a field of theirs."""
    items = items_of(run, value, _SORT)
    ranks = _ranks(run, items, attribute)
    order = sorted(range(len(items)), key=ranks.__getitem__, reverse=bool(reverse))
    return [items[index] for index in order]


def min_filter(run: Run, value: Any, /, attribute: Any = None) -> Any:
    """Take the smallest item, or the one with the smallest field."""
    return _extreme(run, value, attribute, min)


def max_filter(run: Run, value: Any, /, attribute: Any = None) -> Any:
    """Take the largest item, or the one with the largest field."""
    return _extreme(run, value, attribute, max)


def _extreme(run: Run, value: Any, attribute: Any, choose: Callable[..., int]) -> Any:
    items = items_of(run, value)
    if not items:
        return Missing("the smallest or largest item of an empty list")
    return items[choose(range(len(items)), key=_ranks(run, items, attribute).__getitem__)]


def unique(run: Run, value: Any, /, attribute: Any = None) -> list[Any]:
    """Drop items that were there before (the same JSON, or the same field)."""
    seen: dict[Any, Any] = {}
    for item in items_of(run, value, _SORT):
        key = item if attribute is None else pick(item, attribute)
        if isinstance(key, str):
            weigh(run, key)
        seen.setdefault((type(key), key) if _is_scalar(key) else dump(run, key), item)
    return list(seen.values())


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def reverse(run: Run, value: Any, /) -> Any:
    """Turn a list or a text round."""
    if isinstance(value, str):
        run.make(len(value))
        return value[::-1]
    return items_of(run, value)[::-1]


def list_filter(run: Run, value: Any, /) -> list[Any]:
    """Make a list: of items, of keys or of characters."""
    return items_of(run, value)


def keys(run: Run, value: Any, /) -> list[Any]:
    """List the keys of an object."""
    return list(_object(run, value))


def values(run: Run, value: Any, /) -> list[Any]:
    """List the values of an object."""
    return list(_object(run, value).values())


def items(run: Run, value: Any, /) -> list[Any]:
    """List the `[key, value]` pairs of an object."""
    return [[key, item] for key, item in _object(run, value).items()]


def dictsort(run: Run, value: Any, /, reverse: Any = False) -> list[Any]:
    """List the `[key, value]` pairs of an object in the order of their keys."""
    pairs = [[text(run, key), item] for key, item in _object(run, value).items()]
    return sort(run, pairs, reverse=reverse, attribute=0)


def predicate_named(name: Any) -> Callable[..., bool]:
    """Return the test of that name. Raises `template_forbidden`."""
    if isinstance(name, str) and name in PREDICATES:
        return PREDICATES[name]
    shown = clip(name) if isinstance(name, str) else kind(name)
    message = f'There is no test "{shown}".'
    raise TemplateError("template_forbidden", message, construct=shown)


def _chosen(run: Run, value: Any, wanted: bool, attribute: Any, test: tuple[Any, ...]) -> list[Any]:
    passes = predicate_named(test[0]) if test else None
    result = []
    for item in items_of(run, value):
        looked = item if attribute is None else pick(item, attribute, None)
        verdict = passes(run, looked, *test[1:]) if passes else bool(looked)
        if verdict == wanted:
            result.append(item)
    return result


def select(run: Run, value: Any, /, *test: Any) -> list[Any]:
    """Keep items that pass a test (`select("gt", 5)`), or that are true."""
    return _chosen(run, value, True, None, test)


def reject(run: Run, value: Any, /, *test: Any) -> list[Any]:
    """Drop items that pass a test, or that are true."""
    return _chosen(run, value, False, None, test)


def selectattr(run: Run, value: Any, attribute: Any, /, *test: Any) -> list[Any]:
    """Keep items whose field passes a test; a missing field is null."""
    return _chosen(run, value, True, attribute, test)


def rejectattr(run: Run, value: Any, attribute: Any, /, *test: Any) -> list[Any]:
    """Drop items whose field passes a test; a missing field is null."""
    return _chosen(run, value, False, attribute, test)
