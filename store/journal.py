"""The journal of one execution: what its worker records, written in groups, never twice.

Recording is immediate and in memory; `flush` returns once all that was recorded is committed. What
nobody waits for (pure nodes, which can be run again without harm) is written after a short while.
A database that cannot be written to holds the execution up; it does not fail it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import orjson

from core.errors import CauceError, Failure, StorageUnavailable
from core.events import (
    Event,
    NodeCancelled,
    NodeCompleted,
    NodeFailed,
    NodeInterrupted,
    NodeRetrying,
    NodeSkipped,
    NodeStarted,
)
from core.plan import PlanNode
from core.status import TERMINAL_NODE, NodeStatus
from core.walk import NodeResult
from store import transitions
from store.changes import LOG_WORDS, Changes, Ending, Lease, NodeKey, NodeRecord
from store.clock import timestamp
from store.engine import Database
from store.executions import NodeRun
from store.payloads import Stored

RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Waits between tries while the database cannot be written to; the last one repeats."""


class Journal:
    """Records the node runs of one execution under one lease."""

    def __init__(
        self,
        database: Database,
        lease: Lease,
        known: Iterable[NodeRun] = (),
        *,
        linger: float = 0.02,
        on_fault: Callable[[], None] = lambda: None,
    ) -> None:
        """`linger` is in seconds; `on_fault` is called once when writing has become impossible."""
        self.lease = lease
        self.fault: Exception | None = None
        self.last_seq = 0
        self._database = database
        self._linger = linger
        self.on_fault = on_fault
        self._changes = Changes()
        self._flush = 0
        self._committed = 0
        self._progress = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._records: dict[NodeKey, NodeRecord] = {
            (run.node_id, run.iteration): _record(run) for run in known
        }

    def status(self, node_id: str, iteration: int = 0) -> NodeStatus:
        """Return the state of a node run as recorded here."""
        return self._of(node_id, iteration).status

    def started(self, node: PlanNode, attempt: int, data: Any, iteration: int = 0) -> None:
        """Record that an attempt begins; a second record of the same attempt changes nothing."""
        record = self._of(node.id, iteration)
        if record.status is NodeStatus.RUNNING and record.attempt == attempt:
            return
        if record.status is not NodeStatus.RUNNING:
            record.move(NodeStatus.RUNNING)
        record.attempt, record.error = attempt, None
        self._changes.facts["currentNodeId"] = node.id
        event = NodeStarted(node.id, attempt, node.type, node.label)
        self._put(record, event, node, inputData=self._text(data))

    def completed(
        self,
        node: PlanNode,
        result: NodeResult,
        *,
        duration: int,
        message: str = "",
        details: Mapping[str, Any] | None = None,
        iteration: int = 0,
    ) -> None:
        """Record a node's result, once."""
        record = self._settle(node.id, iteration, NodeStatus.COMPLETED, duration)
        record.ports = result.ports
        record.output = Stored.of(result.output)
        record.port_outputs = Stored.of(dict(result.by_port)) if result.by_port else None
        shown = {
            "success": True,
            "message": message,
            "outputData": record.output.fragment,
            **(details or {}),
        }
        event = NodeCompleted(node.id, record.attempt, duration, result.ports, None)
        self._put(
            record,
            event,
            node,
            values={"output": record.output},
            outputData=self._text(shown),
            duration=duration,
        )

    def failed(
        self,
        node: PlanNode,
        failure: Failure,
        handled: NodeResult | None,
        *,
        duration: int,
        iteration: int = 0,
    ) -> None:
        """Record that the last attempt failed; `handled` is what flows on nevertheless."""
        record = self._settle(node.id, iteration, NodeStatus.FAILED, duration)
        record.error = error_data(failure)
        values: dict[str, Stored] = {}
        if handled is not None:
            record.ports, record.output = handled.ports, Stored.of(handled.output)
            values = {"output": record.output}
        event = NodeFailed(
            node.id, record.attempt, duration, record.error, handled is not None, record.ports
        )
        shown = {"success": False, "message": failure.message, "error": record.error}
        self._put(
            record,
            event,
            node,
            values=values,
            outputData=self._text(shown),
            error=failure.message,
            duration=duration,
        )

    def retrying(self, node: PlanNode, attempt: int, failure: Failure, wait: float) -> None:
        """Record that attempt number `attempt` failed and another follows in `wait` seconds."""
        record = self._of(node.id, 0)
        record.error = error_data(failure)
        self._changes.add_event(NodeRetrying(node.id, attempt, round(wait * 1000), record.error))
        self._changes.runs[record.node_id, record.iteration] = record.row()
        self._later()

    def interrupted(self, node_id: str, iteration: int = 0) -> None:
        """Record that an earlier worker died inside this node."""
        event = NodeInterrupted(node_id, self._of(node_id, iteration).attempt)
        self._changes.add_event(event)
        self._later()

    def skipped(self, nodes: Iterable[PlanNode]) -> None:
        """Record nodes that will never run."""
        for node in nodes:
            record = self._settle(node.id, 0, NodeStatus.SKIPPED, None)
            self._put(record, NodeSkipped(node.id), node)

    def cancelled(self, nodes: Iterable[PlanNode]) -> None:
        """Record nodes that were cut off by the end of their execution."""
        for node in nodes:
            record = self._of(node.id, 0)
            if record.status not in TERMINAL_NODE:
                record.move(NodeStatus.CANCELLED)
                self._put(record, NodeCancelled(node.id), node)

    def note(self, **facts: Any) -> None:
        """Write columns of the execution's row along with the next record."""
        self._changes.facts |= facts

    def node_results(self) -> str:
        """Return all recorded outputs as JSON, `{nodeId: {success, outputData}}`."""
        return orjson.dumps(
            {
                record.node_id: {
                    "success": record.status is NodeStatus.COMPLETED,
                    "outputData": record.output.fragment,
                }
                for record in self._records.values()
                if record.output is not None
            }
        ).decode()

    async def flush(self) -> None:
        """Return once everything recorded so far is committed. Raises `LeaseLost`."""
        wanted = self._flush + bool(self._changes)
        if self._changes:
            self._write_now()
        # Not for the writing task: a neighbour that keeps recording would keep it busy for long.
        while self._committed < wanted and self.fault is None:
            await self._progress.wait()
        if self.fault is not None:
            raise self.fault

    async def end(self, event: Event, ending: Ending, **values: Stored) -> None:
        """Write the end of the execution, its last event. Raises `LeaseLost`."""
        self._changes.add_event(event, **values)
        self._changes.ending = ending
        await self.flush()

    def _of(self, node_id: str, iteration: int) -> NodeRecord:
        key = (node_id, iteration)
        if key not in self._records:
            self._records[key] = NodeRecord(node_id, iteration)
        return self._records[key]

    def _settle(
        self, node_id: str, iteration: int, status: NodeStatus, duration: int | None
    ) -> NodeRecord:
        record = self._of(node_id, iteration)
        record.move(status)
        record.duration = duration
        self._changes.count(status)
        return record

    def _put(
        self,
        record: NodeRecord,
        event: Event,
        node: PlanNode,
        values: Mapping[str, Stored] | None = None,
        **log: Any,
    ) -> None:
        self._changes.add_event(event, **(values or {}))
        self._changes.runs[record.node_id, record.iteration] = record.row()
        row: dict[str, Any] = dict.fromkeys(("inputData", "outputData", "error", "duration"))
        row |= {"nodeId": node.id, "nodeType": node.type, "nodeLabel": node.label}
        self._changes.add_log(
            row | log | {"status": LOG_WORDS[record.status], "timestamp": timestamp()}
        )
        self._later()

    def _text(self, value: Any) -> str:
        return self._changes.log_text(Stored.of(value))

    def _later(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._linger, self._write_now)

    def _write_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all(), name="journal")

    async def _write_all(self) -> None:
        while self._changes and self.fault is None:
            changes, self._changes = self._changes, Changes()
            self._flush += 1
            try:
                self.last_seq = await self._write(changes)
                self._committed = self._flush
            except CauceError as fault:
                self._break(fault)
            except Exception as fault:  # a fault of ours: going on unrecorded would lose work
                self._break(fault)
            waited, self._progress = self._progress, asyncio.Event()
            waited.set()

    async def _write(self, changes: Changes) -> int:
        statements = partial(
            transitions.apply, lease=self.lease, flush=self._flush, changes=changes
        )
        tries = 0
        while True:
            try:
                return await self._database.write(statements)
            except StorageUnavailable:
                await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                tries += 1

    def _break(self, fault: Exception) -> None:
        self.fault = fault
        self.on_fault()


def _record(run: NodeRun) -> NodeRecord:
    record = NodeRecord(
        run.node_id, run.iteration, run.status, run.attempt, run.started_at, ports=run.ports
    )
    record.error = run.error
    if run.status in (NodeStatus.COMPLETED, NodeStatus.FAILED):
        record.output = Stored.of(run.output)
    return record


def error_data(failure: Failure) -> dict[str, Any]:
    """Return a node's failure as events and rows show it."""
    return {"code": failure.code, "message": failure.message, **failure.details}
