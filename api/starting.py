"""Accepting an execution: the same for every dialect. Once it is accepted, it will run."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from api.admission import make_room
from api.plans import Plans, Runnable
from api.refusals import checked_id
from api.shared import Shared
from core.errors import (
    BadRequest,
    CauceError,
    NotFound,
    Problem,
    QueueFull,
    Unavailable,
    Unprocessable,
)
from core.findings import child, quote
from store import starts, transitions, workflows
from store.new_execution import NewExecution
from store.wakeup import News

LONGEST_KEY = 255
_TRIES = 5
_PRIVATE = "_"
"""Inputs whose name begins with this are no node's: `_webhookData`, `_triggerType`."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a client asks for. `inputs` are values by node id.

    With an `idempotency_key` the same start asked for again is the same execution. `timeout` is in
    seconds, for documents that set none.
    """

    workflow_id: str
    inputs: Mapping[str, Any]
    organization_id: str | None = None
    trigger_type: str = "manual"
    triggered_by: str | None = None
    idempotency_key: str | None = None
    timeout: float | None = None
    max_parallel: int | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """An accepted execution. `replayed` says that it had been started before, `replaced` that
    others were cancelled for it.
    """

    execution_id: str
    workflow_id: str
    workflow_name: str
    created_at: str
    warnings: tuple[Problem, ...] = ()
    replayed: bool = False
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class _Unread:
    """A document that must be compiled first."""

    text: str


async def start(shared: Shared, wanted: Start) -> Started:
    """Accept an execution of a workflow's present document, and wake the workers.

    Raises `NotFound`, `InvalidDocument`, `BadRequest` and `Unprocessable` for a key that cannot be
    used, `QueueFull`, `Conflict` where the workflow allows no more at once, `StorageUnavailable`.
    """
    checked_id(wanted.workflow_id, "Workflow")
    inputs = orjson.dumps(wanted.inputs).decode()
    key = wanted.idempotency_key
    accept = partial(
        _accept,
        wanted=wanted,
        inputs=inputs,
        execution_id=new_id(f"start\n{wanted.organization_id or ''}", key),
        plans=shared.plans,
        full=await shared.queue.full(),
    )
    for _ in range(_TRIES):
        outcome = await shared.database.write(accept)
        if isinstance(outcome, Started):
            shared.bell.ring(News.WORK)
            if outcome.replaced:
                shared.bell.ring(News.CANCEL)
            return outcome
        if isinstance(outcome, CauceError):
            raise outcome
        await shared.plans.learn(outcome.text)
    raise Unavailable("The workflow keeps changing: try again shortly.", retry_after=1)


def new_id(scope: str, key: str | None) -> str:
    """Return 16 hexadecimal characters; the same ones for the same idempotency key in a scope.

    Raises `BadRequest` for a key that cannot be used.
    """
    if key is None:
        return secrets.token_hex(8)
    if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise BadRequest(
            f"The Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters.",
            code="idempotency_key_invalid",
        )
    return hashlib.sha256(f"{scope}\n{key}".encode()).hexdigest()[:16]


def _accept(
    connection: Any, wanted: Start, inputs: str, execution_id: str, plans: Plans, full: bool
) -> Started | _Unread | CauceError:
    """Accept within one transaction. Refusals are returned: raised, they would undo others' work
    that shares the commit.
    """
    if wanted.idempotency_key is not None:
        before = starts.begun(connection, execution_id)
        if before is not None:
            return _again(wanted, inputs, execution_id, before)
    if full:
        return QueueFull(retry_after=1)
    try:
        row = workflows.find(connection, wanted.workflow_id)
    except NotFound as error:
        return error
    if wanted.organization_id and row["organizationId"] not in (None, wanted.organization_id):
        return NotFound(f"Workflow {wanted.workflow_id[:64]} not found")
    runnable = plans.known(row["data"])
    if runnable is None:
        return _Unread(row["data"])
    replaced = make_room(connection, runnable.settings.concurrency, wanted.workflow_id)
    if isinstance(replaced, CauceError):
        return replaced
    new = _execution(wanted, inputs, execution_id, row, runnable, workflows.pin(connection, row))
    return Started(
        execution_id,
        new.workflow_id,
        new.workflow_name,
        transitions.create(connection, new),
        _leftovers(wanted.inputs, runnable),
        replaced=bool(replaced),
    )


def _execution(
    wanted: Start,
    inputs: str,
    execution_id: str,
    row: Mapping[str, Any],
    runnable: Runnable,
    version: int,
) -> NewExecution:
    settings = runnable.settings
    timeout = settings.timeout if settings.timeout is not None else wanted.timeout
    return NewExecution(
        id=execution_id,
        workflow_id=row["id"],
        workflow_name=row["name"],
        organization_id=wanted.organization_id or row["organizationId"],
        version=version,
        nodes=runnable.nodes,
        inputs=inputs,
        trigger_type=wanted.trigger_type,
        triggered_by=wanted.triggered_by,
        timeout=None if timeout is None else round(timeout * 1000),
        max_parallel=settings.max_parallel or wanted.max_parallel,
        orchestrator=settings.orchestrator,
        priority=wanted.priority,
        concurrency_limit=settings.concurrency.limit if settings.concurrency else None,
        retention_days=settings.retention_days,
    )


def _again(
    wanted: Start, inputs: str, execution_id: str, before: starts.Begun
) -> Started | CauceError:
    same = (before.workflow_id, before.inputs, before.trigger_type)
    if same != (wanted.workflow_id, inputs, wanted.trigger_type):
        return Unprocessable(
            "This Idempotency-Key was used for another request.", code="idempotency_mismatch"
        )
    name = before.workflow_name or ""
    return Started(execution_id, before.workflow_id, name, before.created_at, replayed=True)


def _leftovers(inputs: Mapping[str, Any], runnable: Runnable) -> tuple[Problem, ...]:
    """Return a warning for each input that no node will see: clients send leftovers."""
    if not inputs:
        return ()
    nodes = frozenset(runnable.nodes)
    return tuple(
        Problem(
            "input_unknown",
            f"No node that runs has the id {quote(name)}: this input is not used.",
            child("/inputs", name),
            severity="warning",
        )
        for name in inputs
        if name not in nodes and not name.startswith(_PRIVATE)
    )[:100]
