"""The walk of one segment: ready nodes out, as many at once as allowed; outcomes in."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from core.errors import Failure
from core.plan import PlanNode
from core.walk import Steps
from flows.node_call import CURRENT_CALL, NodeCall
from flows.segment import Segment, Stop

CUT_OFF_SECONDS = 1.0
"""How long a node and what is around it may take to end once they are cut off."""
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

        However it ends, no node of it is running afterwards. Raises `LeaseLost` and `Unrecorded`.
        """
        segment = self._segment
        self._take(segment.walk.resume(segment.settled))
        try:
            while True:
                self._start_ready()
                if not self._running:
                    return Walked()
                watched: set[asyncio.Future[Any]] = {*self._running, segment.stopped}
                await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                ended = self._finished() or self._stopped()
                if ended is not None:
                    return ended
        finally:
            await self._cancel_running()

    def _take(self, steps: Steps) -> None:
        self._ready.extend(steps.ready)
        self._segment.journal.skipped(self._nodes(steps.skipped))

    def _nodes(self, ids: Iterable[str]) -> list[PlanNode]:
        return [self._segment.plan.nodes[node] for node in ids]

    def _start_ready(self) -> None:
        while self._ready and len(self._running) < self._segment.max_parallel:
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
            if not (node in self._calls and self._calls[node].cancel_body()):
                task.cancel()
        if running:
            await asyncio.wait(running, timeout=CUT_OFF_SECONDS)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
