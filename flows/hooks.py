"""Prefect's state hooks of node tasks: they write our journal.

Prefect calls them positionally, swallows what they raise and runs none when a task is cancelled.
So they record nothing that is not recorded elsewhere if they do not run: a call begins and settles
once, whoever asks first, and the scheduler checks that it did.
"""

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from flows.node_call import CURRENT_CALL


async def record_start(_task: Task[..., object], _task_run: TaskRun, _state: State) -> None:
    """`on_running`: the attempt begins. Called again on a cancel, which changes nothing."""
    await CURRENT_CALL.get().begin()


async def record_outcome(_task: Task[..., object], _task_run: TaskRun, _state: State) -> None:
    """`on_completion` and `on_failure`: the attempt has an outcome."""
    await CURRENT_CALL.get().settle()
