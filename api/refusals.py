"""Refusals that only HTTP knows, and how problems become one error."""

from collections.abc import Sequence
from dataclasses import replace

from core.errors import CauceError, InvalidDocument, NotFound, Problem, Unprocessable


class Forbidden(CauceError):
    """A page of another origin may not do this: see the setting CORS_ORIGINS."""

    status = 403
    code = "origin_forbidden"


class MethodNotAllowed(CauceError):
    """This address does not know that method."""

    status = 405
    code = "method_not_allowed"


class RequestTimeout(CauceError):
    """The request's body did not arrive in time."""

    status = 408
    code = "request_timeout"


class PreconditionFailed(CauceError):
    """The workflow has changed since it was read: read it again."""

    status = 412
    code = "version_stale"


class AddressTooLong(CauceError):
    """The request's address is too long."""

    status = 414
    code = "address_too_long"


class HeadersTooLarge(CauceError):
    """The request's headers are too large."""

    status = 431
    code = "headers_too_large"


LONGEST_ID = 200


def checked_id(given: str, what: str) -> str:
    """Return an id from a path as it is. Raises `NotFound` for what cannot be one.

    The sentence is that of an id which is not there. `what` is "Workflow" or "Execution".
    """
    if len(given) > LONGEST_ID or not given.isprintable():
        shown = "".join(c if c.isprintable() else "�" for c in given[:64])
        raise NotFound(f"{what} {shown} not found")
    return given


def invalid(problems: Sequence[Problem]) -> Unprocessable:
    """Return the error for a body with these problems, under their code if they share one."""
    codes = {problem.code for problem in problems}
    code = codes.pop() if len(codes) == 1 else None
    return Unprocessable(_sentence(problems), code=code, problems=problems)


def invalid_document(
    problems: Sequence[Problem], *, truncated: bool, place: str = ""
) -> InvalidDocument:
    """Return the error for a document; `place` is the pointer to it in the body."""
    found = moved(problems, place)
    detail = f"The workflow has problems. {_sentence(found)}"
    return InvalidDocument(detail, problems=found, extra={"truncated": truncated})


def moved(problems: Sequence[Problem], place: str) -> list[Problem]:
    """Return problems with their pointers relative to what `place` points into."""
    return [replace(problem, pointer=f"{place}{problem.pointer}") for problem in problems]


def _sentence(problems: Sequence[Problem]) -> str:
    first = problems[0].message
    return first if len(problems) == 1 else f"{first} (And {len(problems) - 1} more.)"
