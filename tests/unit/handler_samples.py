"""Handlers as users write them, for the tests of `tasks.handlers`."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class TaskLike:
    """Has what the adapter reads of a Prefect task; calling it as one would start a task run."""

    fn: Callable[..., Any]
    name: str
    retries: int = 0
    retry_delay_seconds: float | list[float] | None = None


def double(node: dict[str, Any], input_data: Any) -> dict[str, Any]:
    """Doubles its input."""
    factor = node["config"].get("factor", 2)
    return {
        "success": True,
        "message": "Doubled",
        "outputData": input_data * factor,
        "pid": os.getpid(),
    }


async def whole_story(node: Any, input_data: Any, execution_context: Any = None) -> dict[str, Any]:
    await asyncio.sleep(0)
    input_data["changed"] = True
    return {"outputData": {"node": node, "context": execution_context}}


def no_output_key(_node: Any) -> dict[str, Any]:
    return {"success": True, "rows": 0}


def anything(*arguments: Any) -> Any:
    return len(arguments)


def says_no(_node: Any, _input_data: Any) -> dict[str, Any]:
    return {"success": False, "message": "The shop is closed.", "statusCode": 503}


def raises(_node: Any, _input_data: Any) -> None:
    raise OddError(1, 2)


async def raises_late(_node: Any, _input_data: Any) -> None:
    raise OddError(1, 2)


class OddError(Exception):
    """Cannot be pickled and read back."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"odd {one + two}")
        self.lock = sys.stdout


def exits(_node: Any, _input_data: Any) -> None:
    sys.exit(3)


def dies(_node: Any, _input_data: Any) -> None:
    os._exit(3)


def not_json(_node: Any, _input_data: Any) -> dict[str, Any]:
    return {"outputData": object()}


def not_a_number(_node: Any, _input_data: Any) -> dict[str, Any]:
    return {"outputData": float("nan")}


def sleeps(_node: Any, input_data: Any) -> None:
    with open(input_data["pid_file"], "w") as file:  # noqa: PTH123 (as users write it)
        file.write(str(os.getpid()))
    time.sleep(600)


NODE_HANDLERS: dict[str, Any] = {
    "double": TaskLike(double, "Double it", retries=2, retry_delay_seconds=[0.5, 1.0]),
    "whole_story": whole_story,
    "no_output_key": no_output_key,
    "anything": anything,
    "says_no": says_no,
    "raises": raises,
    "raises_late": raises_late,
    "exits": exits,
    "dies": dies,
    "not_json": not_json,
    "not_a_number": not_a_number,
    "sleeps": sleeps,
}
