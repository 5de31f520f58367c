"""The place for node types of your own: write a function and give it a name in NODE_HANDLERS.

A handler takes `(node, input_data)` or `(node, input_data, execution_context)` and returns
`{"success": True, "message": "…", "outputData": …}`. It may be a Prefect task or a plain
function, `def` or `async def`:

    from prefect import task

    @task(name="double", retries=2)
    def double(node, input_data):
        factor = node["config"].get("factor", 2)
        return {"success": True, "message": "Doubled", "outputData": input_data * factor}

    NODE_HANDLERS["double"] = double

- `node` is the node as it was drawn; templates in `node["config"]` are rendered.
- `execution_context` holds `executionId`, `workflowId`, `organizationId`, `triggerType`,
  `attempt`, `inputs`, `nodeResults` (earlier outputs by node id) and `idempotencyKey`.
- `"success": False` fails the node with the message. Without `"outputData"` the whole result is
  the output. Other keys are shown in the logs.
- A Prefect task's `retries` and `retry_delay_seconds` hold unless the node sets its own `retry`.
- A plain `def` runs in a child process, so it may block; that process imports this module.
  An `async def` runs in the worker, and must not block.

A node type with a checked configuration and more than one port is a function with `@node`: see
any other file of this folder, to which a file of yours can be added.
"""

from collections.abc import Callable
from typing import Any

Handler = Callable[..., Any]

NODE_HANDLERS: dict[str, Handler] = {}
"""Handlers by the name of their node type."""
