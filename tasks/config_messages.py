"""What pydantic finds wrong, in our codes and in plain sentences."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

Location = tuple[str | int, ...]

QUOTED = 64
"""At most this many characters of a value are quoted."""

_CODES = {
    "missing": "required",
    "string_type": "type_string_expected",
    "int_type": "type_number_expected",
    "int_from_float": "type_number_expected",
    "float_type": "type_number_expected",
    "bool_type": "type_boolean_expected",
    "list_type": "type_array_expected",
    "tuple_type": "type_array_expected",
    "set_type": "type_array_expected",
    "dict_type": "type_object_expected",
    "mapping_type": "type_object_expected",
    "model_type": "type_object_expected",
    "model_attributes_type": "type_object_expected",
    "greater_than": "number_range",
    "greater_than_equal": "number_range",
    "less_than": "number_range",
    "less_than_equal": "number_range",
    "finite_number": "number_range",
    "literal_error": "value_unknown",
    "enum": "value_unknown",
    "extra_forbidden": "field_unknown",
    "string_too_long": "string_too_long",
    "string_too_short": "string_too_short",
    "too_long": "array_too_long",
    "too_short": "array_too_short",
}
_BUILT_IN = frozenset(get_args(ErrorType))
_KINDS = {
    "type_string_expected": "text",
    "type_number_expected": "a number",
    "type_boolean_expected": "true or false",
    "type_array_expected": "a list",
    "type_object_expected": "an object",
}
_RANGES = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem at one place, `path` being keys and indexes inside the configuration.

    `value` is the innermost value on the way to the place. `final` problems hold for a template
    whatever it will come to.
    """

    code: str
    message: str
    path: Location
    value: Any
    final: bool = False

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer (RFC 6901)."""
        return self.pointer_of(self.path)

    @staticmethod
    def pointer_of(path: Sequence[str | int]) -> str:
        """Return a path as a JSON pointer (RFC 6901)."""
        return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)

    def holds(self, test: Callable[[Any], bool]) -> bool:
        """Tell whether the value at the place passes a test."""
        return test(self.value)


def config_error(
    code: str, message: str, key: str | None = None, *, final: bool = False
) -> PydanticCustomError:
    """Return an error for validators to raise: a code of ours and a plain sentence.

    `key` names the setting where the validator of a whole model raises it. `final` says that the
    problem is one of the template itself, whatever it will come to.
    """
    context = {"text": message, "final": final} | ({"key": key} if key else {})
    return PydanticCustomError(code, "{text}", context)


def findings(
    error: ValidationError, config: Mapping[str, Any], own_keys: Mapping[str, str]
) -> list[Finding]:
    """Return what is wrong, one finding for each place, in the order of the fields.

    `own_keys` gives the user's own key for the proper key of a field.
    """
    found: dict[Location, Finding] = {}
    for details in error.errors(include_url=False):
        finding = _finding(details, config, own_keys)
        before = found.get(finding.path)
        found[finding.path] = _joined(before, finding) if before else finding
    return list(found.values())


def _joined(first: Finding, second: Finding) -> Finding:
    """Return one finding for a value that fits none of several kinds."""
    one, other = _KINDS.get(first.code), _KINDS.get(second.code)
    if not one or not other or other in first.message:
        return first
    return replace(
        first, message=first.message.replace(f"must be {one}", f"must be {one} or {other}")
    )


def _finding(
    details: ErrorDetails, config: Mapping[str, Any], own_keys: Mapping[str, str]
) -> Finding:
    context = details.get("ctx", {})
    location = _location(details, own_keys)
    path, value = _follow(config, location, missing=details["type"] == "missing")
    # Some of our codes are also types of pydantic (`url_scheme`): ours come with `final`.
    code = details["type"] if "final" in context else _code(details["type"])
    if code == "string_too_short" and value == "":
        code = "required"
    name = str(path[-1]) if path else "The configuration"
    message = _message(code, name, value, context, details)
    return Finding(code, message, path, value, bool(context.get("final")))


def _location(details: ErrorDetails, own_keys: Mapping[str, str]) -> Location:
    location = details["loc"] or tuple(
        part for part in (details.get("ctx", {}).get("key"),) if part is not None
    )
    if not location:
        return ()
    return (own_keys.get(str(location[0]), location[0]), *location[1:])


def _follow(config: Any, location: Location, *, missing: bool) -> tuple[Location, Any]:
    """Walk into `config`; parts of a location that only name a branch of a union end the walk."""
    path: list[str | int] = []
    value = config
    for part in location:
        if _holds(value, part):
            value = value[part]
        elif isinstance(value, Mapping) and (missing or not path):
            return (*path, part), None
        else:
            break
        path.append(part)
    return tuple(path), value


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, Mapping) and part in value


def _code(kind: str) -> str:
    if kind in _CODES:
        return _CODES[kind]
    return "value_invalid" if kind in _BUILT_IN else kind


def _message(
    code: str, name: str, value: Any, context: Mapping[str, Any], details: ErrorDetails
) -> str:
    if "text" in context:
        return str(context["text"])
    if code in _KINDS:
        return f'"{name}" must be {_KINDS[code]}, not {quoted(value)}.'
    return f'"{name}" {_complaint(code, value, context, details)}.'


def _complaint(code: str, value: Any, context: Mapping[str, Any], details: ErrorDetails) -> str:
    match code:
        case "required":
            return "is required"
        case "number_range":
            return f"must be {_range(context)}, not {quoted(value)}"
        case "value_unknown":
            allowed = str(context.get("expected", "")).replace("'", '"')
            return f"must be {allowed}, not {quoted(value)}"
        case "field_unknown":
            return "is not known here"
        case "string_too_long" | "array_too_long":
            return f"is too long: at most {context.get('max_length')} are allowed"
        case "string_too_short" | "array_too_short":
            return f"is too short: at least {context.get('min_length')} are needed"
        case _:
            reason = context.get("error") if details["type"] == "value_error" else None
            return f"is not valid: {reason}" if reason else f"cannot be {quoted(value)}"


def _range(context: Mapping[str, Any]) -> str:
    for bound, words in _RANGES.items():
        if bound in context:
            return f"{words} {context[bound]}"
    return "a finite number"


def quoted(value: Any) -> str:
    """Return a value as it is shown in a message: at most 64 characters of it."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    text = value if isinstance(value, str) else _as_json(value)
    cut = text if len(text) <= QUOTED else f"{text[: QUOTED - 1]}…"
    return f'"{cut}"' if isinstance(value, str) else cut


def _as_json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return type(value).__name__
