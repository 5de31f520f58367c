"""Calling a handler. Child processes import this file: it imports little, for a quick start."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from core.errors import NodeError
from tasks.output_check import as_json


def function_of(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function inside a Prefect task, or the handler itself."""
    inner = getattr(handler, "fn", None)
    return inner if callable(inner) else handler


def call_by_name(module: str, name: str, *arguments: Any) -> bytes:
    """Call a handler in this (child) process; return its result as JSON. Raises `NodeError`."""
    try:
        function = function_of(importlib.import_module(module).NODE_HANDLERS[name])
        answer = call(function, arguments)
    except NodeError:
        raise
    except BaseException as error:  # also SystemExit: a handler may say that
        message = f"{type(error).__name__}: {error}"
        raise NodeError(message, retryable=True) from None
    return as_json(answer)


def call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call a function with as many of the arguments as it takes."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return function(*arguments)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return function(*arguments[: sum(parameter.kind in positional for parameter in parameters)])
