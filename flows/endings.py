"""How an execution ends: from the way its walk ended to its last event."""

from core.errors import PauseWithdrawn
from core.events import ExecutionCancelled, ExecutionCompleted, ExecutionFailed, ExecutionPaused
from core.plan import PlanNode
from core.status import ExecutionStatus, NodeStatus, Reason
from core.walk import execution_result
from flows.scheduler import Walked
from flows.segment import Segment, Stop
from store.changes import Ending
from store.payloads import Stored


async def end(segment: Segment, walked: Walked) -> ExecutionStatus | None:
    """Write the end of the execution; return its status, or `None` when it goes on elsewhere.

    Raises `LeaseLost` when it is no longer this worker's to end.
    """
    match walked:
        case Walked(stopped=Stop.LEASE_LOST):
            return None
        case Walked(stopped=Stop.DRAIN):
            await segment.journal.flush()
            return None
        case Walked(stopped=Stop.PAUSE):
            return await paused(segment)
        case Walked(stopped=Stop.CANCEL):
            return await cancelled(segment)
        case Walked(stopped=Stop.TIMEOUT):
            return await failed(segment, Reason.TIMEOUT, _timeout_error())
        case Walked(failed=node, failure=failure) if node is not None and failure is not None:
            error = {
                "code": failure.code,
                "message": f'Node "{node.label}" failed: {failure.message}',
                "nodeId": node.id,
            }
            return await failed(segment, Reason.NODE_FAILED, error)
        case _:
            return await completed(segment)


async def paused(segment: Segment) -> ExecutionStatus | None:
    """Let go until someone resumes; `None` when nobody wants the pause any more."""
    await segment.journal.flush()
    ending = Ending(ExecutionStatus.PAUSED, Reason.MANUAL)
    try:
        await segment.journal.end(ExecutionPaused(Reason.MANUAL.value), ending)
    except PauseWithdrawn:
        return None
    return ending.status


def _timeout_error() -> dict[str, str]:
    return {
        "code": "timeout",
        "message": "The execution reached its time limit (timeout of the whole execution).",
    }


async def completed(segment: Segment) -> ExecutionStatus:
    """End as completed, with the graph's result."""
    result = Stored.of(
        execution_result(segment.plan, segment.walk.results, lambda kind: kind == "output")
    )
    ending = Ending(
        ExecutionStatus.COMPLETED,
        result=result.json.decode(),
        node_results=segment.journal.node_results(),
    )
    await segment.journal.end(ExecutionCompleted(None), ending, result=result)
    return ending.status


async def failed(segment: Segment, reason: Reason, error: dict[str, str]) -> ExecutionStatus:
    """End as failed; nodes still open are cancelled."""
    segment.journal.cancelled(_open_nodes(segment))
    ending = Ending(
        ExecutionStatus.FAILED,
        reason,
        error["message"],
        node_results=segment.journal.node_results(),
    )
    await segment.journal.end(ExecutionFailed(reason.value, error), ending)
    return ending.status


async def cancelled(segment: Segment) -> ExecutionStatus:
    """End as cancelled; nodes still open are cancelled."""
    segment.journal.cancelled(_open_nodes(segment))
    ending = Ending(
        ExecutionStatus.CANCELLED, Reason.CANCELLED, node_results=segment.journal.node_results()
    )
    by = segment.cancelled_by or segment.facts.get("cancelledBy") or "user"
    await segment.journal.end(ExecutionCancelled(by), ending)
    return ending.status


def _open_nodes(segment: Segment) -> list[PlanNode]:
    """The nodes that began and did not settle."""
    return [
        node
        for node in segment.plan.nodes.values()
        if segment.journal.status(node.id) in (NodeStatus.RUNNING, NodeStatus.WAITING)
    ]
