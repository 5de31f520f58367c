"""One segment: the part of an execution that this worker carries, from a claim to an end."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from config import Settings
from core.errors import Failure
from core.plan import Plan, PlanNode
from core.status import NodeStatus
from core.walk import NodeResult, Walk
from store.changes import Lease
from store.executions import NodeRun
from store.journal import Journal
from tasks.context import NodeContext
from tasks.registry import NodeType
from tasks.resources import Resources


class Stop(StrEnum):
    """Why a segment is told to stop before its graph is walked."""

    CANCEL = "cancel"
    PAUSE = "pause"
    TIMEOUT = "timeout"
    LEASE_LOST = "lease_lost"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Worker:
    """What all segments of one worker process share."""

    settings: Settings
    resources: Resources
    node_types: Mapping[str, NodeType]


@dataclass(slots=True)
class Segment:
    """An execution in this worker's hands.

    `outputs` holds every output so far by node id; `attempts` how often unfinished nodes were
    begun before, `interrupted` those of them that a worker died in; `failures` what must stop the
    execution, and what the worker of an earlier segment did not live to act on; `task_runs` the
    Prefect task runs of finished nodes, which draw the dependencies in its dashboard. While it
    is `pausing`, no further node starts.
    """

    worker: Worker
    lease: Lease
    plan: Plan
    walk: Walk
    journal: Journal
    facts: Mapping[str, Any]
    inputs: Mapping[str, Any]
    max_parallel: int
    settled: Mapping[str, NodeResult] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    interrupted: set[str] = field(default_factory=set)
    cancelled_by: str | None = None
    failures: Mapping[str, Failure] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    task_runs: dict[str, UUID] = field(default_factory=dict)
    pausing: bool = False
    stopped: "asyncio.Future[Stop]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    nudged: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """Done when `pausing` has changed since the walk last looked."""

    @property
    def execution_id(self) -> str:
        """The execution's id."""
        return self.lease.execution_id

    @property
    def name(self) -> str:
        """What people see: the workflow's name and the execution's id."""
        return f"{self.facts['workflowName'] or self.facts['workflowId']} · {self.execution_id}"

    def stop(self, why: Stop) -> None:
        """Ask the segment to stop; the first reason counts."""
        if not self.stopped.done():
            self.stopped.set_result(why)

    def pause(self, wanted: bool) -> None:
        """Ask the segment to pause once its running nodes have ended, or to go on after all."""
        if self.pausing != wanted:
            self.pausing = wanted
            if not self.nudged.done():
                self.nudged.set_result(None)

    def context_for(self, node: PlanNode, attempt: int) -> NodeContext:
        """Return what an attempt at a node is told about its execution."""
        return NodeContext(
            settings=self.worker.settings,
            resources=self.worker.resources,
            execution_id=self.execution_id,
            workflow_id=self.facts["workflowId"],
            workflow_name=self.facts["workflowName"] or "",
            organization_id=self.facts["organizationId"] or "",
            trigger_type=self.facts["triggerType"],
            node_id=node.id,
            node_type=node.type,
            label=node.label,
            attempt=attempt,
            node=node.raw,
            nodes=self.outputs,
            inputs=self.inputs,
        )


def unhandled(known: Iterable[NodeRun]) -> dict[str, Failure]:
    """Return the failures that no `onError` handled, of an execution that goes on nevertheless:
    its worker died between the node's end and its own.
    """
    return {
        run.node_id: Failure(run.error["code"], run.error["message"])
        for run in known
        if run.status is NodeStatus.FAILED and not run.ports and run.error is not None
    }
