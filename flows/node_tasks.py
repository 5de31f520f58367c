"""One Prefect task per node type; what an attempt is about comes from `CURRENT_CALL`.

Prefect is given ids only: it reads markers inside parameters and stores what exceptions say.
"""

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import RunInput, State, TaskRunResult
from prefect.states import Cancelled as CancelledState
from prefect.states import Completed as CompletedState
from prefect.states import Failed as FailedState
from prefect.task_engine import run_task_async
from prefect.tasks import Task

from flows.hooks import record_outcome, record_start
from flows.node_call import CURRENT_CALL, NodeCall, call_directly
from flows.prefect_client import RESULTS
from tasks.outcomes import Failed


def task_run_name() -> str:
    """Return what the dashboard calls a node's task run: its label, and the attempt after one."""
    call = CURRENT_CALL.get()
    return call.node.label if call.attempt == 1 else f"{call.node.label} (attempt {call.attempt})"


@cache
def node_task(node_type: str) -> Task[..., Any]:
    """Return the Prefect task of a node type."""
    return task(
        name=node_type,
        task_run_name=task_run_name,
        persist_result=False,
        result_storage=RESULTS,
        cache_policy=NO_CACHE,
        log_prints=False,
        retries=0,
        on_running=[record_start],
        on_completion=[record_outcome],
        on_failure=[record_outcome],
    )(run_current)


async def run_current(node_id: str, attempt: int) -> State[None]:
    """Run the attempt that the scheduler set; end as its outcome, in words free of user data."""
    call = CURRENT_CALL.get()
    call.body = asyncio.create_task(call.run())
    try:
        outcome = await call.body
    except asyncio.CancelledError:
        if call.cancelled:
            return CancelledState(message=f"Attempt {attempt} at {node_id} was cut off.")
        raise
    if isinstance(outcome, Failed):
        return FailedState(message=f"Attempt {attempt} at {node_id} failed: {outcome.failure.code}")
    return CompletedState(message="Completed")


async def call_as_task(call: NodeCall) -> None:
    """Run an attempt as a Prefect task run that depends on those of the nodes before it.

    The dependencies are given as ids. Given as states (`wait_for`), Prefect resolves each one in
    another thread, which costs more than the task itself.
    """
    task_runs, node = call.segment.task_runs, call.node.id
    before: set[RunInput] = {
        TaskRunResult(id=task_runs[edge.source])
        for edge in call.segment.plan.incoming[node]
        if edge.source in task_runs
    }
    state: State[Any] | None = await run_task_async(
        node_task(call.node.type),
        parameters={"node_id": node, "attempt": call.attempt},
        dependencies={"node_id": before},
        return_type="state",
    )
    if state is not None and state.state_details.task_run_id is not None:
        task_runs[node] = state.state_details.task_run_id


async def call_effects_as_tasks(call: NodeCall) -> None:
    """Run effects as task runs and pure nodes directly (`PREFECT_TASK_RUNS=effects`)."""
    await (call_directly(call) if call.pure else call_as_task(call))


CALLS: Mapping[str, Any] = {"all": call_as_task, "effects": call_effects_as_tasks}
