"""The walk of one segment: ready nodes out, as many at once as allowed; outcomes in."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from core.errors import Failure
from core.plan import PlanNode
from core.walk import Steps
from flows.node_call import CURRENT_CALL, NodeCall
from flows.segment import Segment, Stop

CUT_OFF_SECONDS = 1.0
"""How long a node and what is around it may take to end once they are cut off."""
LAST_SECONDS = 0.5
"""How long a node may take that did not listen the first time. Then it is left to itself."""
log = logging.getLogger("cauce.scheduler")
CallNode = Callable[[NodeCall], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Walked:
    """How a walk ended: to its end, stopped from outside, or by a node that failed."""

    stopped: Stop | None = None
    failed: PlanNode | None = None
    failure: Failure | None = None


class Unrecorded(Exception):
    """A node ended and the journal does not know how: going on would lose its result."""


class Scheduler:
    """Walks the graph of one segment."""

    def __init__(self, segment: Segment, call_node: CallNode) -> None:
        self._segment = segment
        self._call_node = call_node
        self._ready: deque[str] = deque()
        self._running: dict[asyncio.Task[NodeCall], str] = {}
        self._calls: dict[str, NodeCall] = {}

    async def run(self) -> Walked:
        """Run every node that becomes ready, until none is left or something stops the walk.

        However it ends, no node of it is running afterwards, save one that will not be cut off,
        of which nothing is recorded any more. Raises `LeaseLost` and `Unrecorded`.
        """
        segment = self._segment
        for node, failure in segment.failures.items():
            return Walked(failed=segment.plan.nodes[node], failure=failure)
        self._take(segment.walk.resume(segment.settled))
        try:
            while True:
                if (stopped := self._stopped()) is not None:
                    return stopped
                self._start_ready()
                if not self._running:
                    return Walked(stopped=Stop.PAUSE if self._ready else None)
                if segment.nudged.done():
                    segment.nudged = asyncio.get_running_loop().create_future()
                asked: set[asyncio.Future[Any]] = {segment.stopped, segment.nudged}
                watched = {*self._running, *asked}
                await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                if (failed := self._finished()) is not None:
                    return failed
        finally:
            await self._cancel_running()

    def _take(self, steps: Steps) -> None:
        self._ready.extend(steps.ready)
        self._segment.journal.skipped(self._nodes(steps.skipped))

    def _nodes(self, ids: Iterable[str]) -> list[PlanNode]:
        return [self._segment.plan.nodes[node] for node in ids]

    def _start_ready(self) -> None:
        most = 0 if self._segment.pausing else self._segment.max_parallel
        while self._ready and len(self._running) < most:
            node = self._ready.popleft()
            self._running[asyncio.create_task(self._run_node(node), name=f"node-{node}")] = node

    def _stopped(self) -> Walked | None:
        stopped = self._segment.stopped
        return Walked(stopped=stopped.result()) if stopped.done() else None

    def _finished(self) -> Walked | None:
        """Settle the nodes that are done; return the end of the walk if one of them caused it."""
        for task in [task for task in self._running if task.done()]:
            node = self._running.pop(task)
            call = task.result()
            if call.result is None:
                return Walked(failed=call.node, failure=call.failure)
            self._segment.outputs[node] = call.result.output
            self._take(self._segment.walk.settle(node, call.result))
        return None

    async def _run_node(self, node_id: str) -> NodeCall:
        """Run a node, again and again while its retry policy says so."""
        segment = self._segment
        node = segment.plan.nodes[node_id]
        node_type = segment.worker.node_types.get(node.type)
        data = segment.walk.input_of(node_id, segment.inputs)
        attempt = segment.attempts.get(node_id, 0)
        if node_id in segment.interrupted and node.policy.on_interrupt == "fail":
            call = NodeCall(segment, node, node_type, data, attempt)
            await call.give_up()
            return call
        while True:
            attempt += 1
            call = NodeCall(segment, node, node_type, data, attempt)
            self._calls[node_id] = call
            CURRENT_CALL.set(call)
            await self._call_node(call)
            await call.settle()
            if not call.recorded():
                raise Unrecorded(f"{node.type} node {node_id}")
            if call.retry_in is None:
                return call
            await asyncio.sleep(call.retry_in)

    async def _cancel_running(self) -> None:
        """Cut off what is running; what it would have come to no longer matters."""
        running, self._running = self._running, {}
        for task, node in running.items():
            task.add_done_callback(_forget)
            if not (node in self._calls and self._calls[node].cancel_body()):
                task.cancel()
        left = await _ended(running, CUT_OFF_SECONDS)
        for task in left:
            task.cancel()
        for task in await _ended(left, LAST_SECONDS):
            self._abandon(running[task])

    def _abandon(self, node: str) -> None:
        """Let a node go that swallows its cancellation: it must not hold its execution up."""
        self._calls[node].abandon()
        log.warning("node %r of %s does not let itself be cut off", node, self._segment.name)


async def _ended(
    tasks: Collection[asyncio.Task[NodeCall]], within: float
) -> set[asyncio.Task[NodeCall]]:
    """Return the tasks that have not ended within so many seconds."""
    if not tasks:
        return set()
    _, left = await asyncio.wait(tasks, timeout=within)
    return left


def _forget(task: asyncio.Task[NodeCall]) -> None:
    """Take note of what became of a task, so that asyncio does not complain that nobody did."""
    if not task.cancelled():
        task.exception()
