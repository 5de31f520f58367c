"""Filters on one text, number or date. Each takes the run, the value, then its own arguments."""

import html
import json
import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

from core.templates.errors import cannot
from core.templates.limits import ITEM, MAX_TEXT, Run
from core.templates.values import bounded, dump, is_number, kind, text, timestamp

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_DATE_FORMAT = re.compile(r"(?:[^%]|%[aAbBdHIjmMpSfyYzZFTuVGUW%])*", re.DOTALL)
_MAX_DATE_FORMAT = 64
_MAX_PRECISION = 15
_MAX_INDENT = 8
_ROUNDING = {"common": ROUND_HALF_UP, "ceil": ROUND_CEILING, "floor": ROUND_FLOOR}
_ROUNDING_CONTEXT = Context(prec=400)


def _made(run: Run, result: str) -> str:
    run.make(len(result))
    return result


def _input(run: Run, value: Any) -> str:
    """Return the text of a value that is about to be copied, after paying for the copy."""
    result = text(run, value)
    run.make(len(result))
    return result


def upper(run: Run, value: Any, /) -> str:
    """Put a text in capitals."""
    return _made(run, _input(run, value).upper())


def lower(run: Run, value: Any, /) -> str:
    """Put a text in small letters."""
    return _made(run, _input(run, value).lower())


def title(run: Run, value: Any, /) -> str:
    """Start each word with a capital."""
    return _made(run, _WORD.sub(lambda word: word[0].capitalize(), _input(run, value)))


def capitalize(run: Run, value: Any, /) -> str:
    """Start a text with a capital, the rest in small letters."""
    return _made(run, _input(run, value).capitalize())


def trim(run: Run, value: Any, /, chars: Any = None) -> str:
    """Take white space, or the characters `chars`, from both ends."""
    if chars is None:
        return _input(run, value).strip()
    characters = _text_argument("chars", chars)
    if len(characters) > _MAX_DATE_FORMAT:
        raise cannot(f"trim takes at most {_MAX_DATE_FORMAT} characters.")
    return _input(run, value).strip(characters)


def _text_argument(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise cannot(f"{name} must be a text, not {kind(value)}.")
    return value


def whole_argument(name: str, value: Any, low: int, high: int) -> int:
    """Return a filter's whole-number argument if it is within bounds. Raises `template_error`."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise cannot(f"{name} must be a whole number from {low} to {high}.")
    return value


def replace(run: Run, value: Any, old: Any, new: Any, /, count: Any = None) -> str:
    """Replace `old` by `new`, everywhere or the first `count` times."""
    source = _input(run, value)
    before, after = _text_argument("replace", old), text(run, new)
    times = source.count(before)
    if count is not None:
        times = min(times, whole_argument("count", count, 0, MAX_TEXT))
    run.make(max(0, len(source) + times * (len(after) - len(before))))
    return source.replace(before, after, times)


def truncate(
    run: Run, value: Any, /, length: Any = 255, killwords: Any = False, end: Any = "..."
) -> str:
    """Cut a text to at most `length` characters, `end` included; at a word unless `killwords`."""
    source, tail = _input(run, value), _text_argument("end", end)
    size = whole_argument("length", length, 0, MAX_TEXT)
    if len(source) <= size:
        return source
    if len(tail) > size:
        raise cannot("The end is longer than the length to truncate to.")
    head = source[: size - len(tail)]
    return head + tail if killwords else head.rsplit(" ", 1)[0] + tail


def split(run: Run, value: Any, /, sep: Any = None) -> list[str]:
    """Split a text at each `sep`, or at white space."""
    source = _input(run, value)
    if sep is None:
        run.spend(ITEM * (len(source) // 2 + 1))
        return source.split()
    if not _text_argument("sep", sep):
        raise cannot("A text cannot be split at an empty text.")
    run.spend(ITEM * (source.count(sep) + 1))
    return source.split(sep)


def urlencode_filter(run: Run, value: Any, /) -> str:
    """Percent-encode a text for a path, or an object as the query of a URL."""
    if isinstance(value, Mapping):
        pairs = [(text(run, key), text(run, item)) for key, item in value.items()]
        run.make(sum(len(key) + len(item) for key, item in pairs))
        return _made(run, urlencode(pairs, quote_via=quote))
    return _made(run, quote(_input(run, value), safe="/"))


def escape(run: Run, value: Any, /) -> str:
    """Escape a text for HTML."""
    return _made(run, html.escape(_input(run, value)))


def string(run: Run, value: Any, /) -> str:
    """Put a value into words, as in the middle of a text."""
    return _made(run, text(run, value))


def tojson(run: Run, value: Any, /, indent: Any = None) -> str:
    """Return a value as plain JSON: nothing is escaped for HTML."""
    return dump(
        run, value, None if indent is None else whole_argument("indent", indent, 0, _MAX_INDENT)
    )


def fromjson(run: Run, value: Any, /) -> Any:
    """Read a JSON text. The result is data, never a template."""
    source = _input(run, value)
    run.spend(3 * len(source))
    try:
        return json.loads(source, parse_constant=_no_constant, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise cannot(f"The text is not JSON: {error.msg} at {error.pos}.") from None


def _no_constant(name: str) -> NoReturn:
    raise cannot(f"{name} is not JSON.")


def _whole(digits: str) -> int | float:
    return bounded(int(digits))


def round_filter(_run: Run, value: Any, /, precision: Any = 0, method: Any = "common") -> Any:
    """Round a number: half away from zero (`common`), `ceil` or `floor`. Whole if no precision."""
    if not is_number(value):
        raise cannot(f"round needs a number, not {kind(value)}.")
    places = whole_argument("precision", precision, -_MAX_PRECISION, _MAX_PRECISION)
    if not isinstance(method, str) or method not in _ROUNDING:
        raise cannot('method must be "common", "ceil" or "floor".')
    bounded(value)
    step = Decimal(1).scaleb(-places)
    exact = Decimal(repr(value)).quantize(step, _ROUNDING[method], _ROUNDING_CONTEXT)
    return bounded(int(exact)) if places <= 0 else float(exact)


def int_filter(run: Run, value: Any, /, default: Any = 0) -> Any:
    """Turn a value into a whole number, cut at the point; `default` when it is none."""
    if isinstance(value, str):
        run.spend(len(value))
        value = _number(value)
    if not isinstance(value, int | float):
        return default
    try:
        return bounded(int(value))
    except (ValueError, OverflowError):
        return default


def float_filter(run: Run, value: Any, /, default: Any = 0.0) -> Any:
    """Turn a value into a number with a fraction; `default` when it is none."""
    if isinstance(value, str):
        run.spend(len(value))
        value = _number(value)
    if not isinstance(value, int | float):
        return default
    try:
        result = float(value)
    except OverflowError:
        return default
    return result if result - result == 0 else default


def _number(source: str) -> int | float | None:
    for read in (int, float):
        try:
            return read(source)
        except ValueError:
            continue
    return None


def abs_filter(_run: Run, value: Any, /) -> Any:
    """Drop the sign of a number."""
    if not is_number(value):
        raise cannot(f"abs needs a number, not {kind(value)}.")
    return bounded(abs(value))


def date_filter(run: Run, value: Any, format: Any = "%Y-%m-%d", /) -> str:  # noqa: A002
    """Write a date (ISO 8601 text, or seconds since 1970) by a format of `%Y %m %d %H %M …`.

    Only plain directives: the C library would take a width of a thousand million (`%999999999d`).
    """
    pattern = _text_argument("format", format)
    if len(pattern) > _MAX_DATE_FORMAT or not _DATE_FORMAT.fullmatch(pattern):
        raise cannot("The date format has a directive that is not offered, or is too long.")
    return _made(run, timestamp(value).strftime(pattern))
