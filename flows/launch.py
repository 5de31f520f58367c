"""From a claim to an end: loads what a segment needs and hands it to an orchestrator.

Two orchestrators behind one seam, the same scheduler, node functions and journal in both: `prefect`
(a flow run for people to watch) and `direct` (nothing in the way; taken by itself while Prefect
cannot be reached).
"""

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import Any

from core.errors import CauceError, InvalidDocument
from core.graph import fired_trigger
from core.plan import Plan
from core.status import ExecutionStatus, NodeStatus, Reason
from core.walk import NodeResult, Walk
from flows.circuit import Circuit
from flows.endings import cancelled, end, failed, paused
from flows.node_call import call_directly
from flows.plans import Plans
from flows.prefect_client import FLOW_RUN_NAME
from flows.scheduler import Scheduler
from flows.segment import Segment, Stop, Worker, unhandled
from flows.workflow_flow import CURRENT_SEGMENT, Carried, workflow_flow
from store import executions
from store.engine import Database
from store.executions import NodeRun
from store.journal import Journal
from store.transitions import Claimed

START_BUDGET = 30.0
"""Seconds that a Prefect which answers may take to let a flow begin."""
STARTS_AT_ONCE = 8
"""More flow starts at once make each of them slower, and none of them sooner."""
MAX_INTERRUPTIONS = 3
"""How often a worker may die with an execution in its hands before the execution is blamed."""
EMPTY_PLAN = Plan({}, (), ())
log = logging.getLogger("cauce.launch")


class Launcher:
    """Runs claimed executions in this process."""

    def __init__(self, database: Database, worker: Worker, plans: Plans, circuit: Circuit) -> None:
        self._database = database
        self._worker = worker
        self._plans = plans
        self._circuit = circuit
        self._starts = asyncio.Semaphore(STARTS_AT_ONCE)

    async def load(self, claimed: Claimed) -> Segment:
        """Make the segment of a claimed execution from what is stored. Raises `InvalidDocument`."""
        plan = await self._plans.get(claimed.workflow_id, claimed.version)
        known: list[NodeRun] = []
        if claimed.lease.epoch > 1 or claimed.row["retryOf"] is not None:
            known = await self._database.read(
                partial(executions.stored_node_runs, execution_id=claimed.lease.execution_id)
            )
        return self._segment(claimed, plan, known)

    def _segment(self, claimed: Claimed, plan: Plan, known: list[NodeRun]) -> Segment:
        inputs = dict(executions.loads_inputs(claimed.row))
        segment = Segment(
            worker=self._worker,
            lease=claimed.lease,
            plan=plan,
            walk=Walk(plan, fired_trigger(plan, inputs)),
            journal=Journal(self._database, claimed.lease, known),
            facts=claimed.row,
            inputs=inputs,
            max_parallel=claimed.row["maxParallel"] or self._worker.settings.max_parallel,
            settled=_settled(known),
            failures=unhandled(known),
            pausing=claimed.pause_requested,
        )
        segment.journal.on_fault = partial(segment.stop, Stop.LEASE_LOST)
        segment.outputs.update({node: result.output for node, result in segment.settled.items()})
        _note_interruptions(segment, known)
        return segment

    async def carry(self, segment: Segment, claimed: Claimed) -> bool:
        """Carry a segment until it ends or is told to stop; tell whether it is let go of already:
        the execution has ended, or is paused.

        Raises `LeaseLost` when another worker has it now.
        """
        remaining = claimed.row["remaining"]
        timer = None
        if remaining is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(max(0, remaining) / 1000, segment.stop, Stop.TIMEOUT)
            if remaining <= 0:
                segment.stop(Stop.TIMEOUT)
        status: ExecutionStatus | None
        try:
            if claimed.interruptions >= MAX_INTERRUPTIONS:
                status = await failed(
                    segment, Reason.CRASH_LOOP, _crash_loop(claimed.interruptions)
                )
            elif claimed.cancel_requested:
                status = await cancelled(segment)
            elif segment.pausing and not segment.stopped.done():
                status = await paused(segment)
            else:
                status = await self._orchestrate(segment)
        finally:
            if timer is not None:
                timer.cancel()
        return status is not None

    async def reject(self, claimed: Claimed, error: CauceError) -> None:
        """End an execution whose stored workflow cannot run."""
        segment = self._bare(claimed)
        first = error.problems[0].message if error.problems else error.detail
        invalid = isinstance(error, InvalidDocument)
        message = f"The workflow cannot run: {first}" if invalid else error.detail
        await failed(segment, Reason.INVALID, {"code": error.code, "message": message})

    async def give_up(self, claimed: Claimed) -> None:
        """End an execution that could not be loaded, however often it was tried."""
        error = _crash_loop(claimed.interruptions)
        await failed(self._bare(claimed), Reason.CRASH_LOOP, error)

    def _bare(self, claimed: Claimed) -> Segment:
        """Return a segment that can only end; what is stored may not even be readable."""
        readable = replace(claimed, row={**claimed.row, "inputs": None})
        return self._segment(readable, EMPTY_PLAN, [])

    async def _orchestrate(self, segment: Segment) -> ExecutionStatus | None:
        wanted = segment.facts["orchestrator"] or self._worker.settings.orchestrator
        if wanted == "prefect":
            carried = Carried(segment)
            if self._circuit.closed:
                await self._with_prefect(carried)
            if carried.entered:
                return carried.status
        segment.journal.note(observability="degraded" if wanted == "prefect" else "direct")
        walked = await Scheduler(segment, call_directly).run()
        return await end(segment, walked)

    async def _with_prefect(self, carried: Carried) -> None:
        """Carry a segment as a Prefect flow run; `carried` says whether it began."""
        async with self._starts:
            run = await self._start_flow(carried)
        try:
            await run
        except (Exception, asyncio.CancelledError) as error:
            if _cancelled_from_outside():
                raise
            log.info("Prefect does not show %s: %r", carried.segment.execution_id, error)
        if carried.error is not None:
            raise carried.error
        if carried.entered:
            self._circuit.answered()
        elif not carried.segment.stopped.done():
            self._circuit.failed()

    async def _start_flow(self, carried: Carried) -> "asyncio.Task[None]":
        """Start the flow and return once its body began, or once it was given up."""
        CURRENT_SEGMENT.set(carried)
        FLOW_RUN_NAME.set(carried.segment.name)
        run = asyncio.create_task(_flow(carried.segment.execution_id))
        opened = asyncio.create_task(self._circuit.opened())
        began = asyncio.create_task(carried.began.wait())
        hopeful: set[asyncio.Future[Any]] = {run, carried.segment.stopped, opened, began}
        await asyncio.wait(hopeful, timeout=START_BUDGET, return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        began.cancel()
        if not carried.entered:
            run.cancel()
        return run


async def _flow(execution_id: str) -> None:
    await workflow_flow(execution_id, return_state=True)


def _cancelled_from_outside() -> bool:
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0


def _settled(known: list[NodeRun]) -> dict[str, NodeResult]:
    settled = (NodeStatus.COMPLETED, NodeStatus.FAILED, NodeStatus.SKIPPED)
    return {
        run.node_id: NodeResult(run.output, run.ports, run.port_outputs)
        for run in known
        if run.status in settled
    }


def _note_interruptions(segment: Segment, known: list[NodeRun]) -> None:
    """Record the nodes that an earlier worker died in; their next attempt counts on.

    A running node with an error only waited for its next attempt: nothing was cut off.
    """
    for run in known:
        if run.status is NodeStatus.RUNNING:
            segment.attempts[run.node_id] = run.attempt
            if run.error is None:
                segment.interrupted.add(run.node_id)
                segment.journal.interrupted(run.node_id)


def _crash_loop(times: int) -> dict[str, str]:
    return {
        "code": "crash_loop",
        "message": f"Its worker died {times} times while running this execution; "
        "it is not tried again.",
    }
