"""JSON Schemas that a user gives: which are taken, and how an answer is checked with one."""

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import SchemaError, ValidationError  # type: ignore[import-untyped]
from referencing.exceptions import Unresolvable

DEEPEST = 32
_NAMED = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_VALUES = frozenset({"const", "enum", "default", "examples"})
_REFUSED = frozenset({"pattern", "patternProperties", "$dynamicRef", "$recursiveRef"})


def check_schema(schema: dict[str, Any]) -> str | None:
    """Return a sentence on what is wrong with a schema, or `None`.

    Regular expressions are refused, since one can run for ever, and so are references to other
    documents, since nothing is fetched.
    """
    try:
        problem = next(_problems(schema, 0), None)
        if problem is None:
            Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"This is not a valid JSON Schema: {error.message[:200]}."
    return problem


def _problems(schema: Any, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        yield f"The schema is nested more than {DEEPEST} levels deep."
        return
    if isinstance(schema, list):
        for item in schema:
            yield from _problems(item, depth + 1)
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        yield from _keyword_problems(key, value)
        if key in _NAMED and isinstance(value, dict):
            for named in value.values():
                yield from _problems(named, depth + 1)
        elif key not in _VALUES:
            yield from _problems(value, depth + 1)


def _keyword_problems(key: str, value: Any) -> Iterator[str]:
    if key in _REFUSED:
        yield f'"{key}" is not possible in a schema here.'
    if key == "$ref" and not str(value).startswith("#"):
        yield 'A "$ref" may only point into the schema itself: it begins with "#".'


def mismatch(value: Any, schema: dict[str, Any]) -> str | None:
    """Return a sentence on why a value does not fit a schema, or `None` when it does."""
    try:
        Draft202012Validator(schema).validate(value)
    except ValidationError as error:
        place = "/".join(str(part) for part in error.absolute_path)
        return f"At /{place}: {error.message[:300]}"
    except (RecursionError, Unresolvable):
        return "The schema refers to itself without an end, or to something that is not there."
    return None
