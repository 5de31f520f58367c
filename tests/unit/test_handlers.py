"""Classic handlers, and the child processes in which the blocking ones run."""

import asyncio
import multiprocessing.resource_tracker
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from core.errors import NodeError
from core.policy import NodePolicy, RetryPolicy
from tasks.blocking import BlockingPool
from tasks.load import collect
from tasks.node_handlers import NODE_HANDLERS
from tasks.outcomes import Failed
from tasks.registry import Registry
from tasks.resources import Resources
from tests.attempts import attempt, completed, failed, settings

SAMPLES = "tests.unit.handler_samples"
TYPES = collect([], SAMPLES, built_in=Registry()).types()


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def resources() -> AsyncIterator[Resources]:
    async with Resources(settings(blocking_processes=1)) as resources:
        yield resources


async def until(condition: Any, what: str, seconds: float = 20) -> None:
    """Wait until `condition()` is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        await asyncio.sleep(0.02)


# R003-24, R003-25
async def test_a_handler_is_a_node_type(resources: Resources) -> None:
    double = TYPES["double"]
    assert double.spec.title == "Double it"
    assert double.description == "Doubles its input."
    assert double.spec.check_config({"factor": 3, "anything": {}}) == []
    outcome = await completed(double, {"factor": "{{ 1 + 2 }}"}, 7, resources=resources)
    assert (outcome.output, outcome.message) == (21, "Doubled")
    assert outcome.details["pid"] != os.getpid()


# R003-24, R003-37, defect 11
async def test_the_retries_of_a_prefect_task_are_the_nodes_default() -> None:
    double = TYPES["double"]
    assert double.retry is not None
    policy = double.retry({})
    assert policy == RetryPolicy(attempts=3, delay=0.5, backoff=1.0, jitter=0.0)
    assert policy.allows(1, "node_error", retryable=True)
    assert TYPES["says_no"].retry is None


# R003-24
async def test_an_async_handler_runs_here_and_is_told_everything() -> None:
    data = {"a": 1}
    raw = {"id": "n", "type": "whole_story", "label": "L", "config": {"k": "{{ a }}"}}
    facts = {"node": raw, "nodes": {"m": 1}, "inputs": {"n": 0}, "workflow_id": "w"}
    outcome = await completed(TYPES["whole_story"], {"k": "{{ a }}"}, data, **facts)
    assert outcome.output["node"] == {**raw, "config": {"k": 1}}
    assert outcome.output["context"] == {
        "executionId": "execution-1",
        "workflowId": "w",
        "organizationId": "",
        "triggerType": "manual",
        "nodeId": "n",
        "attempt": 1,
        "inputs": {"n": 0},
        "nodeResults": {"m": 1},
        "idempotencyKey": "execution-1.n.0",
    }
    assert data == {"a": 1}


# R003-24
async def test_what_handlers_return(resources: Resources) -> None:
    outcome = await completed(TYPES["no_output_key"], {}, 1, resources=resources)
    assert outcome.output == {"success": True, "rows": 0}
    assert (await completed(TYPES["anything"], {}, 1, resources=resources)).output == 3


# R003-24
async def test_how_handlers_fail(resources: Resources) -> None:
    wanted = {
        "says_no": ("handler_failed", "The shop is closed."),
        "raises": ("node_error", "OddError: odd 3"),
        "raises_late": ("node_error", "OddError: odd 3"),
        "exits": ("node_error", "SystemExit: 3"),
        "not_json": ("output_invalid", "The output cannot be written as JSON"),
        "not_a_number": ("output_invalid", "The output cannot be written as JSON"),
    }
    for name, (code, message) in wanted.items():
        failure = await failed(TYPES[name], {}, None, resources=resources)
        assert failure.code == code
        assert failure.message.startswith(message)
        assert failure.retryable is (code != "output_invalid")
    assert (await failed(TYPES["says_no"], {}, resources=resources)).details == {"statusCode": 503}


async def test_a_child_that_dies_is_replaced(resources: Resources) -> None:
    failure = await failed(TYPES["dies"], {}, None, resources=resources)
    assert (failure.code, failure.retryable) == ("blocking_crashed", True)
    assert (await completed(TYPES["anything"], {}, 1, resources=resources)).output == 3


def _pid(file: Path) -> int | None:
    text = file.read_text() if file.exists() else ""
    return int(text) if text else None


# P19, R000-32
async def test_cancelling_kills_the_child(resources: Resources, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    data = {"pid_file": str(file)}
    task = asyncio.create_task(attempt(TYPES["sleeps"], {}, data, resources=resources))
    await until(lambda: _pid(file), "the child to start")
    pid = _pid(file)
    assert pid is not None
    child = psutil.Process(pid)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not child.is_running(), "the child to be killed", 5)
    assert (await completed(TYPES["anything"], {}, 1, resources=resources)).output == 3


# R000-17
async def test_time_that_runs_out_kills_the_child(resources: Resources, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    # The child is there already: its start takes longer than the node is given.
    await completed(TYPES["anything"], {}, 1, resources=resources)
    outcome = await attempt(
        TYPES["sleeps"],
        {},
        {"pid_file": str(file)},
        resources=resources,
        policy=NodePolicy(timeout=0.5),
    )
    assert isinstance(outcome, Failed)
    assert outcome.failure.code == "timeout"
    pid = _pid(file)
    if pid is not None:
        await until(lambda: not psutil.pid_exists(pid), "the child to be killed", 5)


def _raise_node_error(message: str) -> None:
    raise NodeError(message, code="own", retry_after=2.0)


async def test_a_pool_costs_nothing_before_its_first_call() -> None:
    before = len(psutil.Process().children())
    pool = BlockingPool(2)
    assert len(psutil.Process().children()) == before
    pool.stop()


async def test_a_pool_passes_failures_and_timeouts_on() -> None:
    # The tracker of multiprocessing stays for as long as its parent.
    multiprocessing.resource_tracker.ensure_running()
    before = psutil.Process().children()
    pool = BlockingPool(1)
    try:
        assert await pool.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(NodeError) as caught:
            await pool.run(_raise_node_error, "No.")
        assert (caught.value.failure.code, caught.value.failure.retry_after) == ("own", 2.0)
        with pytest.raises(TimeoutError):
            await pool.run(time.sleep, 600, timeout=0.1)
    finally:
        await asyncio.to_thread(pool.stop)
    assert not [child for child in psutil.Process().children() if child not in before]


ORPHANS = """
import asyncio, sys
from tasks.blocking import BlockingPool
from tests.unit.handler_samples import sleeps
asyncio.run(BlockingPool(1).run(sleeps, None, {"pid_file": sys.argv[1]}))
"""


# P2
async def test_children_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    root = Path(__file__).parents[2]
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ORPHANS, str(file), cwd=root, env={"PYTHONPATH": str(root)}
    )
    try:
        await until(lambda: _pid(file), "the child to start")
        child = psutil.Process(_pid(file))
    finally:
        parent.kill()
        await parent.wait()
    await until(lambda: not child.is_running(), "the child to end", 5)


# R003-25
async def test_the_documented_place_is_there_and_empty() -> None:
    assert NODE_HANDLERS == {}
