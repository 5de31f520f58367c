"""The Prefect flow that carries one segment of an execution."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from core.status import ExecutionStatus
from flows.endings import end
from flows.node_tasks import CALLS
from flows.prefect_client import RESULTS
from flows.scheduler import Scheduler
from flows.segment import Segment


@dataclass(slots=True)
class Carried:
    """What became of a segment under Prefect.

    `began`: the flow's body was entered, so the journal decides what happened. `status` stays empty
    while the execution has not ended; `error` is what cut the walk off, kept from Prefect, which
    would store its words.
    """

    segment: Segment
    began: asyncio.Event = field(default_factory=asyncio.Event)
    status: ExecutionStatus | None = None
    error: Exception | None = None

    @property
    def entered(self) -> bool:
        """Whether the flow's body began."""
        return self.began.is_set()


CURRENT_SEGMENT: ContextVar[Carried] = ContextVar("current_segment")


@flow(
    name="workflow",
    persist_result=False,
    result_storage=RESULTS,
    validate_parameters=False,
    log_prints=False,
    retries=0,
)
async def workflow_flow(execution_id: str) -> State[None]:
    """Walk the graph of an execution and write its end; the state is a picture of that end."""
    carried = CURRENT_SEGMENT.get()
    carried.began.set()
    segment = carried.segment
    segment.journal.note(prefectFlowRunId=flow_run.get_id())
    call_node = CALLS[segment.worker.settings.prefect_task_runs]
    try:
        walked = await Scheduler(segment, call_node).run()
        carried.status = await end(segment, walked)
    except Exception as error:  # raised again by the launcher
        carried.error = error
    return picture(carried.status, execution_id)


def picture(status: ExecutionStatus | None, execution_id: str) -> State[None]:
    """Return the Prefect state that shows how a segment ended."""
    match status:
        case ExecutionStatus.COMPLETED:
            return Completed(message=f"Execution {execution_id} completed.")
        case ExecutionStatus.FAILED:
            return Failed(message=f"Execution {execution_id} failed: see its log.")
        case ExecutionStatus.CANCELLED:
            return Cancelled(message=f"Execution {execution_id} was cancelled.")
        case ExecutionStatus.PAUSED:
            return Cancelled(message=f"Execution {execution_id} is paused: another run goes on.")
        case _:
            return Cancelled(message=f"Execution {execution_id} goes on in another worker.")
