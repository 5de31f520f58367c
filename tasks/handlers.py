"""Makes node types of classic handlers (see `tasks.node_handlers`)."""

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from pydantic import ConfigDict

from core.catalogue import NodeSpec
from core.errors import NodeError
from core.policy import RetryPolicy
from tasks.context import NodeContext
from tasks.handler_call import call, call_by_name, function_of
from tasks.outcomes import Completed
from tasks.registry import NodeConfig, NodeType

_OWN_KEYS = frozenset({"success", "message", "outputData", "traceback"})


class AnyConfig(NodeConfig):
    """The configuration of a handler: any keys."""

    model_config = ConfigDict(extra="allow")


def node_type_of(name: str, handler: Callable[..., Any], module: str) -> NodeType:
    """Return the node type `name` of a handler that `module.NODE_HANDLERS` holds by that name."""
    function = function_of(handler)

    async def run(config: AnyConfig, data: Any, context: NodeContext) -> Any:
        node = {**context.node, "config": dict(config.model_extra or {})}
        arguments = (node, data, execution_context(context))
        if inspect.iscoroutinefunction(function):
            return completed(await _awaited(function, copy.deepcopy(arguments)))
        answer = await context.resources.blocking.run(call_by_name, module, name, *arguments)
        return completed(orjson.loads(answer))

    policy = retry_of(handler)
    return NodeType(
        spec=NodeSpec(name=name, title=str(getattr(handler, "name", None) or name)),
        config_model=AnyConfig,
        run=run,
        retry=(lambda _config: policy) if policy else None,
        description=inspect.getdoc(function) or "",
        origin=f"{module}.NODE_HANDLERS",
    )


def retry_of(handler: Callable[..., Any]) -> RetryPolicy | None:
    """Return the retries that a Prefect task asks for; of several delays the first."""
    retries = getattr(handler, "retries", None)
    if not isinstance(retries, int) or retries <= 0:
        return None
    delay = getattr(handler, "retry_delay_seconds", None)
    if isinstance(delay, list | tuple):
        delay = delay[0] if delay else None
    seconds = float(delay) if isinstance(delay, int | float) else 0.0
    return RetryPolicy(attempts=retries + 1, delay=seconds, backoff=1.0, jitter=0.0)


def execution_context(context: NodeContext) -> dict[str, Any]:
    """Return what a handler is told about its execution."""
    return {
        "executionId": context.execution_id,
        "workflowId": context.workflow_id,
        "organizationId": context.organization_id,
        "triggerType": context.trigger_type,
        "nodeId": context.node_id,
        "attempt": context.attempt,
        "inputs": dict(context.inputs),
        "nodeResults": dict(context.nodes),
        "idempotencyKey": context.idempotency_key,
    }


async def _awaited(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return await call(function, arguments)
    except NodeError:
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        raise NodeError(message, retryable=True) from error


def completed(answer: Any) -> Completed:
    """Return a handler's result as an outcome. Raises `NodeError` when it says that it failed."""
    if not isinstance(answer, Mapping):
        return Completed(answer)
    details = {str(key): value for key, value in answer.items() if key not in _OWN_KEYS}
    message = str(answer.get("message") or "")
    if answer.get("success", True) is False:
        said = message or str(answer.get("error") or "") or "The handler says that it failed."
        raise NodeError(said, code="handler_failed", retryable=True, details=details)
    if "outputData" not in answer:
        return Completed(dict(answer), message=message)
    return Completed(answer["outputData"], message=message, details=details)
