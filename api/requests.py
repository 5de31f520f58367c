"""What clients send, as models: unknown fields and loose types are refused."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from api.refusals import invalid
from core.errors import Problem
from core.findings import child, quote
from store.candidates import MOST_URGENT

LONGEST_NAME = 200

Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]
NewId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        hide_input_in_errors=True,
    )


class CreateWorkflow(Body):
    """A workflow to store. `data` is its document."""

    name: Name
    data: Any
    id: NewId | None = None
    organization_id: Id | None = None


class UpdateWorkflow(Body):
    """A new version of a workflow."""

    data: Any
    name: Name | None = None


class ValidateWorkflow(Body):
    """A document to be looked at: what would be stored, or the document under `data` alone."""

    data: Any
    name: Any = None
    id: Any = None
    organization_id: Any = None


class ExecuteWorkflow(Body):
    """An execution to start. `inputs` are values by node id.

    `mode` chose between two executors in existing services: here both words mean the same. Of
    those that wait, one with a higher `priority` (-100 to 100) is taken first.
    """

    workflow_id: Id
    inputs: dict[str, Any] | None = None
    organization_id: Id | None = None
    mode: Literal["optimized", "legacy"] | None = None
    trigger_type: Word | None = None
    priority: Annotated[int, Field(ge=-MOST_URGENT, le=MOST_URGENT)] = 0


class RetryExecution(Body):
    """How to go on from an execution. `from` is the id of the first node that runs again, `inputs`
    are values by node id that replace those of the original.
    """

    from_: Id | None = Field(None, alias="from")
    version: Literal["original", "latest"] = "original"
    inputs: dict[str, Any] | None = None


class ExecuteNode(Body):
    """One node to run by itself, with `inputData` as its input."""

    node_id: Id
    node_type: Word
    node: dict[str, Any]
    input_data: Any = None
    workflow_id: Id | None = None
    organization_id: Id | None = None


class CancelExecution(Body):
    """Who cancels, if that is to be known."""

    cancelled_by: Name | None = None


class HoldExecution(Body):
    """Who pauses or resumes, if that is to be known."""

    requested_by: Name | None = None


_B = TypeVar("_B", bound=Body)

_CODES = {
    "missing": "required",
    "extra_forbidden": "field_unknown",
    "string_type": "type_string_expected",
    "dict_type": "type_object_expected",
    "string_too_long": "too_long",
    "string_too_short": "required",
    "string_pattern_mismatch": "id_chars",
    "literal_error": "value_unknown",
}


def validated(model: type[_B], body: dict[str, Any]) -> _B:
    """Return a body as its model. Raises `Unprocessable` that names every problem."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid([_problem(found) for found in error.errors(include_url=False)]) from None


def _problem(details: ErrorDetails) -> Problem:
    pointer = ""
    for key in details["loc"]:
        pointer = child(pointer, key)
    code = _CODES.get(details["type"], "value_invalid")
    name = quote(str(details["loc"][-1]))
    message = f"{name} {_complaint(code, details)}."
    return Problem(code, message, pointer)


def _complaint(code: str, details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    match code:
        case "required":
            return "is required"
        case "field_unknown":
            return "is not a field of this request"
        case "type_string_expected":
            return f"must be a string, not {quote(details['input'])}"
        case "type_object_expected":
            return f"must be an object, not {quote(details['input'])}"
        case "too_long":
            return f"is too long: use at most {context.get('max_length')} characters"
        case "id_chars":
            return "may hold letters, digits, '-', '_' and '.', at most 128 of them"
        case "value_unknown":
            return f"must be {context.get('expected')}, not {quote(details['input'])}"
        case _:
            return f"cannot be {quote(details['input'])}"
