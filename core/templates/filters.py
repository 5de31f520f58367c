"""Every filter by its name. What is not here does not exist."""

from collections.abc import Callable, Mapping
from typing import Any

from core.templates import list_filters, text_filters
from core.templates.errors import TemplateError, cannot, clip
from core.templates.limits import Run
from core.templates.list_filters import items_of, pick
from core.templates.values import ABSENT, Missing, kind

Filter = Callable[..., Any]


def default_filter(_run: Run, value: Any, default_value: Any = "", boolean: Any = False, /) -> Any:
    """Give `default_value` for what is not there; with `boolean`, also for what is empty."""
    if isinstance(value, Missing) or (boolean and not value):
        return default_value
    return value


def map_filter(
    run: Run,
    value: Any,
    name: Any = None,
    /,
    *arguments: Any,
    attribute: Any = None,
    default: Any = ABSENT,
) -> list[Any]:
    """Take a field of each item (`map(attribute="price")`), or apply a filter to each."""
    found = items_of(run, value)
    if attribute is not None:
        return [pick(item, attribute, default) for item in found]
    apply = filter_named(name)
    result = [apply(run, item, *arguments) for item in found]
    for item in result:
        if isinstance(item, Missing):
            raise item.error()
    return result


FILTERS: Mapping[str, Filter] = {
    "abs": text_filters.abs_filter,
    "capitalize": text_filters.capitalize,
    "count": list_filters.length,
    "d": default_filter,
    "date": text_filters.date_filter,
    "default": default_filter,
    "dictsort": list_filters.dictsort,
    "e": text_filters.escape,
    "escape": text_filters.escape,
    "first": list_filters.first,
    "float": text_filters.float_filter,
    "fromjson": text_filters.fromjson,
    "int": text_filters.int_filter,
    "items": list_filters.items,
    "join": list_filters.join,
    "keys": list_filters.keys,
    "last": list_filters.last,
    "length": list_filters.length,
    "list": list_filters.list_filter,
    "lower": text_filters.lower,
    "map": map_filter,
    "max": list_filters.max_filter,
    "min": list_filters.min_filter,
    "reject": list_filters.reject,
    "rejectattr": list_filters.rejectattr,
    "replace": text_filters.replace,
    "reverse": list_filters.reverse,
    "round": text_filters.round_filter,
    "select": list_filters.select,
    "selectattr": list_filters.selectattr,
    "sort": list_filters.sort,
    "split": text_filters.split,
    "string": text_filters.string,
    "sum": list_filters.sum_filter,
    "title": text_filters.title,
    "tojson": text_filters.tojson,
    "trim": text_filters.trim,
    "truncate": text_filters.truncate,
    "unique": list_filters.unique,
    "upper": text_filters.upper,
    "urlencode": text_filters.urlencode_filter,
    "values": list_filters.values,
}


def filter_named(name: Any) -> Filter:
    """Return the filter of that name. Raises `template_forbidden`."""
    if isinstance(name, str) and name in FILTERS:
        return FILTERS[name]
    if not isinstance(name, str):
        raise cannot(f"map needs attribute or the name of a filter, not {kind(name)}.")
    message = f'There is no filter "{clip(name)}".'
    raise TemplateError("template_forbidden", message, construct=clip(name))
