"""One tree of errors. A class carries its HTTP status; its docstring is its default message.

A node's failure is data on its row (`NodeError` becomes one), never an HTTP error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what a client sent.

    `pointer` is a JSON pointer (RFC 6901) into the document or body, `code` a stable word for
    programs, `message` a sentence for people that quotes at most 64 characters of the value.
    """

    code: str
    message: str
    pointer: str = ""
    node_id: str | None = None
    severity: Literal["error", "warning"] = "error"


class CauceError(Exception):
    """Something went wrong on our side."""

    status: ClassVar[int] = 500
    code: str = "internal_error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        code: str | None = None,
        problems: Sequence[Problem] = (),
        retry_after: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip().split("\n", 1)[0]
        self.code = code or type(self).code
        self.problems = tuple(problems)
        self.retry_after = retry_after
        self.extra = dict(extra or {})
        super().__init__(self.detail)


class BadRequest(CauceError):
    """The request cannot be read."""

    status = 400
    code = "bad_request"


class Unauthorized(CauceError):
    """This service needs an API key: send it as "Authorization: Bearer <key>" or "X-API-Key"."""

    status = 401
    code = "unauthorized"


class NotFound(CauceError):
    """There is nothing here."""

    status = 404
    code = "not_found"


class Conflict(CauceError):
    """This is not possible in the present state."""

    status = 409
    code = "conflict"


class AlreadyFinished(Conflict):
    """The execution has already finished."""

    code = "already_finished"


class NotWaiting(Conflict):
    """The execution is not paused by hand: there is nothing to resume."""

    code = "not_waiting"


class TooLarge(CauceError):
    """The request is larger than this service accepts."""

    status = 413
    code = "body_too_large"


class UnsupportedMediaType(CauceError):
    """Send JSON, with the header "Content-Type: application/json"."""

    status = 415
    code = "unsupported_media_type"


class Unprocessable(CauceError):
    """The request can be read, but what it says is not valid."""

    status = 422
    code = "invalid"


class InvalidDocument(Unprocessable):
    """The workflow has problems."""

    code = "document_invalid"


class Unavailable(CauceError):
    """The service cannot do this right now. Try again shortly."""

    status = 503
    code = "unavailable"


class StorageUnavailable(Unavailable):
    """The database cannot be written to right now. Nothing was changed; try again shortly."""

    code = "storage_unavailable"


class QueueFull(Unavailable):
    """Too many executions wait for a worker. Nothing was started; try again shortly."""

    code = "queue_full"


class LeaseLost(CauceError):
    """Another worker has taken this execution over: nothing may be written for it here."""

    code = "lease_lost"


class PauseWithdrawn(CauceError):
    """The pause was taken back, or a cancel came, before it was carried out."""

    code = "pause_withdrawn"


class ConfigError(Exception):
    """A setting is wrong: the sentence names the variable, the problem and an example."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a node failed, as stored and shown: redacted, no stack trace.

    `retry_after` is in seconds, asked for by the other side.
    """

    code: str
    message: str
    retryable: bool = False
    retry_after: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class NodeError(Exception):
    """Raised inside a node to say that it failed, in a sentence that its user will read."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "node_error",
        retryable: bool = False,
        retry_after: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.failure = Failure(code, message, retryable, retry_after, dict(details or {}))
        super().__init__(message)
