"""One attempt at one node: from its configuration and input to an outcome."""

import asyncio
import logging
import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.errors import Failure, NodeError
from core.expressions import TemplateError
from core.plan import PlanNode
from core.policy import NOT_PINNED
from tasks.config_check import known_part, parse_config
from tasks.context import NodeContext
from tasks.outcomes import Completed, Failed, Outcome
from tasks.output_check import checked, normal_form
from tasks.redaction import redacted
from tasks.registry import NodeType

logger = logging.getLogger(__name__)

LONGEST_MESSAGE = 2000
"""Characters of a failure that a node worded itself."""


async def run_attempt(
    node_type: NodeType, node: PlanNode, data: Any, context: NodeContext
) -> Outcome:
    """Run a node once. Never raises, save `CancelledError`.

    The configuration is rendered (but for the type's verbatim keys) and checked, the function
    runs within the time limit of the node or its type, and its output must be JSON of a bounded
    size. Failures carry the codes of `TemplateError` and `NodeError`, or `timeout`,
    `output_invalid`, `payload_too_large`, and `node_error` for any other exception.
    """
    if node.policy.pinned_data is not NOT_PINNED:
        return _pinned(node_type, node)
    limit = node.policy.timeout or node_type.timeout
    try:
        async with asyncio.timeout(limit):
            outcome = await _run(node_type, node, data, replace(context, timeout=limit))
        return checked(outcome, context.settings.max_output_bytes)
    except TemplateError as error:
        return _failed(Failure(error.code, str(error)), context)
    except NodeError as error:
        return _failed(error.failure, context)
    except TimeoutError:
        return _failed(Failure("timeout", _late(limit), retryable=True), context)
    except (Exception, SystemExit) as error:  # a library that exits must not end the worker
        return _unexpected(error, context)


async def _run(node_type: NodeType, node: PlanNode, data: Any, context: NodeContext) -> Outcome:
    rendered = _rendered(node_type, node.config, data, context)
    config = parse_config(node_type.config_model, rendered)
    result = await node_type.run(config, data, context)
    return result if isinstance(result, Completed | Failed) else Completed(result)


def _rendered(
    node_type: NodeType, config: Mapping[str, Any], data: Any, context: NodeContext
) -> dict[str, Any]:
    """Render the keys that count; leftovers of another type may not even be valid."""
    known = known_part(node_type.config_model, config)
    verbatim = node_type.spec.verbatim
    templates = {key: value for key, value in known.items() if key not in verbatim}
    return {**known, **context.render(templates, data)}


def _pinned(node_type: NodeType, node: PlanNode) -> Completed:
    """Return the pinned data; for a node with several ports they are `{port: value}`.

    Data of another shape leave through all of its ports.
    """
    pinned = node.policy.pinned_data
    ports = node_type.spec.ports(node.config)
    details = {"pinned": True}
    if len(ports) > 1 and isinstance(pinned, Mapping) and pinned and set(pinned) <= set(ports):
        return Completed(pinned, ports=tuple(pinned), by_port=pinned, details=details)
    return Completed(pinned, ports=ports, details=details)


def _failed(failure: Failure, context: NodeContext) -> Failed:
    message = redacted(failure.message, context.settings, LONGEST_MESSAGE)
    try:
        details, _ = normal_form(failure.details)
    except NodeError:
        details = {}
    return Failed(replace(failure, message=message, details=details))


def _late(limit: float | None) -> str:
    return f"The node took longer than {limit:g} seconds." if limit else "The node took too long."


def _unexpected(error: BaseException, context: NodeContext) -> Failed:
    message = redacted(f"{type(error).__name__}: {error}", context.settings)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    logger.error(
        "Node %r (%r) of execution %r raised %r at %s:%s",
        context.node_id,
        context.node_type,
        context.execution_id,
        message,
        frame.filename,
        frame.lineno,
    )
    return Failed(Failure("node_error", message))
