"""Going on from an execution that has ended: what is kept, what runs again, what is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson

from api.admission import make_room
from api.refusals import invalid
from api.requests import RetryExecution
from api.shared import Shared
from api.starting import new_id
from core.errors import CauceError, Conflict, Problem, QueueFull, Unavailable, Unprocessable
from core.findings import quote
from core.graph import fired_trigger
from core.plan import Plan
from core.reuse import changed_nodes, reusable
from core.status import TERMINAL_EXECUTION, ExecutionStatus
from store import retries, starts, workflows
from store.new_execution import NewExecution
from store.payloads import decode
from store.retries import Original
from store.wakeup import News

_TRIES = 5
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Retried:
    """The new execution and the nodes whose results it keeps."""

    execution_id: str
    reused: list[str]
    replayed: bool = False
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """What is stored of the original: its document, and the present one where that is wanted."""

    original: Original
    document: str
    latest: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What will be stored, and the request that a repetition of it must equal."""

    found: _Found
    new: NewExecution
    plan: Plan
    reused: list[str]
    request: str


async def retry(
    shared: Shared, execution_id: str, wanted: RetryExecution, key: str | None
) -> Retried:
    """Start an execution that goes on from another one, and wake the workers.

    Raises `NotFound`, `Conflict` where there is nothing to go on from, `Unprocessable`,
    `InvalidDocument`, `BadRequest` for a key that cannot be used, `QueueFull`,
    `StorageUnavailable`.
    """
    made = new_id(f"retry\n{execution_id}", key)
    read = partial(_find, execution_id=execution_id, latest=wanted.version == "latest")
    for _ in range(_TRIES):
        found = await shared.database.read(read)
        _check(found, wanted)
        prepared = await _prepare(shared, found, wanted, made)
        full = await shared.queue.full()
        write = partial(_accept, prepared=prepared, keyed=key is not None, full=full)
        outcome = await shared.database.write(write)
        if isinstance(outcome, CauceError):
            raise outcome
        if outcome is not None:
            shared.bell.ring(News.WORK)
            if outcome.replaced:
                shared.bell.ring(News.CANCEL)
            return outcome
    raise Unavailable("The workflow keeps changing: try again shortly.", retry_after=1)


def _find(connection: Any, execution_id: str, latest: bool) -> _Found:
    original = retries.original(connection, execution_id)
    workflow_id = original.row["workflowId"]
    return _Found(
        original,
        workflows.version_data(connection, workflow_id, original.row["versionNumber"]),
        workflows.find(connection, workflow_id) if latest else None,
    )


def _check(found: _Found, wanted: RetryExecution) -> None:
    status = found.original.row["status"]
    if status not in TERMINAL_EXECUTION:
        raise Conflict(
            f"The execution is {status}: it can be retried once it has ended.",
            code="not_finished",
            extra={"status": status},
        )
    as_it_was = wanted.from_ is None and not wanted.inputs and wanted.version == "original"
    if status == ExecutionStatus.COMPLETED and as_it_was:
        raise Conflict(
            "The execution completed: say from which node to run it again (from), or with which "
            "other inputs.",
            code="nothing_to_retry",
        )


async def _prepare(
    shared: Shared, found: _Found, wanted: RetryExecution, execution_id: str
) -> _Prepared:
    before = await shared.plans.plan(found.document)
    plan = before if found.latest is None else await shared.plans.plan(found.latest["data"])
    if wanted.from_ is not None and wanted.from_ not in plan.nodes:
        message = f"No node that runs has the id {quote(wanted.from_)}."
        raise invalid([Problem("node_unknown", message, "/from")])
    old = _inputs(found.original)
    inputs = {**old, **(wanted.inputs or {})}
    again = _again(before, plan, old, inputs) | ({wanted.from_} if wanted.from_ else set())
    request = wanted.model_dump(by_alias=True)
    text = orjson.dumps(request, option=orjson.OPT_SORT_KEYS).decode()
    new = _execution(found, plan, orjson.dumps(inputs).decode(), execution_id, text)
    return _Prepared(found, new, plan, reusable(plan, found.original.ports, again), text)


def _inputs(original: Original) -> dict[str, Any]:
    stored = decode(original.row["inputs"] or "{}")
    return stored if isinstance(stored, dict) else {}


def _again(before: Plan, plan: Plan, old: dict[str, Any], inputs: dict[str, Any]) -> set[str]:
    """Return the nodes that changed, or whose input did; triggers see more than their own."""
    changed = {name for name, value in inputs.items() if not _same(value, old.get(name, _MISSING))}
    again = changed & plan.nodes.keys()
    if changed - plan.nodes.keys() or fired_trigger(before, old) != fired_trigger(plan, inputs):
        again |= set(plan.triggers)
    return again if plan is before else again | changed_nodes(before, plan)


def _same(one: Any, other: Any) -> bool:
    if other is _MISSING:
        return False
    return _canonical(one) == _canonical(other)


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _execution(
    found: _Found, plan: Plan, inputs: str, execution_id: str, request: str
) -> NewExecution:
    row, settings = found.original.row, plan.settings
    timeout = None if settings.timeout is None else round(settings.timeout * 1000)
    return NewExecution(
        id=execution_id,
        workflow_id=row["workflowId"],
        workflow_name=row["workflowName"] or "",
        organization_id=row["organizationId"],
        version=row["versionNumber"],
        nodes=tuple(plan.nodes),
        inputs=inputs,
        trigger_type=row["triggerType"] or "manual",
        triggered_by=row["triggeredByName"],
        timeout=found.original.time_limit if timeout is None else timeout,
        max_parallel=settings.max_parallel or row["maxParallel"],
        orchestrator=settings.orchestrator,
        priority=row["priority"] or 0,
        concurrency_limit=settings.concurrency.limit if settings.concurrency else None,
        retention_days=settings.retention_days,
        retry_of=row["id"],
        retry_request=request,
    )


def _accept(
    connection: Any, prepared: _Prepared, keyed: bool, full: bool
) -> Retried | CauceError | None:
    """Accept within one transaction; `None`: the workflow has changed since it was read."""
    new = prepared.new
    if keyed:
        before = starts.begun(connection, new.id)
        if before is not None:
            return _repeated(connection, prepared, before)
    if full:
        return QueueFull(retry_after=1)
    latest = prepared.found.latest
    version = new.version
    if latest is not None:
        try:
            row = workflows.find(connection, new.workflow_id)
        except CauceError as error:
            return error
        if row["data"] != latest["data"]:
            return None
        version = workflows.pin(connection, row)
    replaced = make_room(connection, prepared.plan.settings.concurrency, new.workflow_id)
    if isinstance(replaced, CauceError):
        return replaced
    retries.go_on(connection, replace(new, version=version), prepared.reused)
    return Retried(new.id, prepared.reused, replaced=bool(replaced))


def _repeated(connection: Any, prepared: _Prepared, before: starts.Begun) -> Retried | CauceError:
    if before.retry_request != prepared.request:
        return Unprocessable(
            "This Idempotency-Key was used for another request.", code="idempotency_mismatch"
        )
    return Retried(prepared.new.id, retries.reused(connection, prepared.new.id), replayed=True)
