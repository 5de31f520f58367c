"""One attempt at one node: begun once, settled once, whoever calls it."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from core.errors import Failure
from core.plan import PlanNode
from core.policy import RetryPolicy
from core.status import NodeStatus
from core.walk import NodeResult, ports_of
from flows.segment import Segment
from tasks.attempt import run_attempt
from tasks.outcomes import Completed, Failed, Outcome
from tasks.registry import NodeType

ONCE = RetryPolicy(attempts=1)
INTERRUPTED = Failure(
    "interrupted", "Its worker died while it ran, and it is not to run again (onInterrupt)."
)
CURRENT_CALL: ContextVar["NodeCall"] = ContextVar("current_node_call")
"""Set by the scheduler just before a node is called: Prefect's hooks find the call here."""


@dataclass(slots=True)
class NodeCall:
    """An attempt at a node, its outcome and what was recorded of it.

    After `settle`, `result` is what flows on, or `retry_in` the seconds until the next attempt;
    neither means that the failure stops the execution.
    """

    segment: Segment
    node: PlanNode
    node_type: NodeType | None
    data: Any
    attempt: int
    outcome: Outcome | None = None
    result: NodeResult | None = None
    retry_in: float | None = None
    settled: bool = False
    cancelled: bool = False
    began_at: float = 0.0
    body: "asyncio.Task[Outcome] | None" = None

    @property
    def pure(self) -> bool:
        """Whether the node touches nothing outside: it may run again, and needs no commit first."""
        return self.node_type is None or self.node_type.pure

    @property
    def failure(self) -> Failure | None:
        """Why the attempt failed, if it did."""
        return self.outcome.failure if isinstance(self.outcome, Failed) else None

    async def begin(self) -> None:
        """Record the start. An effect begins only once its start is committed."""
        if self.began_at:
            return
        self.began_at = perf_counter()
        self.segment.journal.started(self.node, self.attempt, self.data)
        if not self.pure:
            await self.segment.journal.flush()
            self.began_at = perf_counter()  # the commit is no part of the node's time

    async def run(self) -> Outcome:
        """Run the node's function; faults inside it become `Failed`."""
        await self.begin()
        if self.node_type is None:
            self.outcome = Completed(self.data, message="passed through: unknown node type")
        else:
            context = self.segment.context_for(self.node, self.attempt)
            self.outcome = await run_attempt(self.node_type, self.node, self.data, context)
        return self.outcome

    def cancel_body(self) -> bool:
        """Cut the node's function off without the knowledge of what is around it.

        Returns whether there was one to cut off. Prefect would call a task that is cancelled
        from outside crashed.
        """
        if self.body is None or self.body.done():
            return False
        self.cancelled = True
        return self.body.cancel()

    async def give_up(self) -> None:
        """Fail an attempt that an earlier worker died in, at a node that must not run twice."""
        self.settled, self.outcome = True, Failed(INTERRUPTED)
        self._fail(INTERRUPTED, 0)
        await self.segment.journal.flush()

    def abandon(self) -> None:
        """Record nothing of this attempt from now on."""
        self.settled = True

    async def settle(self) -> None:
        """Record the outcome, once; an effect's is committed before anything follows from it."""
        if self.settled or self.outcome is None:
            return
        self.settled = True
        duration = round((perf_counter() - self.began_at) * 1000)
        match self.outcome:
            case Completed() as done:
                self._completed(done, duration)
            case Failed(failure):
                self._failed(failure, duration)
        if not self.pure:
            await self.segment.journal.flush()

    def _completed(self, done: Completed, duration: int) -> None:
        self.result = NodeResult(done.output, done.ports, done.by_port)
        self.segment.journal.completed(
            self.node, self.result, duration=duration, message=done.message, details=done.details
        )

    def _failed(self, failure: Failure, duration: int) -> None:
        policy = self._retry_policy()
        if policy.allows(self.attempt, failure.code, retryable=failure.retryable):
            self.retry_in = policy.wait(self.attempt, failure.retry_after)
            self.segment.journal.retrying(self.node, self.attempt, failure, self.retry_in)
        else:
            self._fail(failure, duration)

    def _fail(self, failure: Failure, duration: int) -> None:
        self.result = self._handled(failure)
        self.segment.journal.failed(self.node, failure, self.result, duration=duration)

    def _retry_policy(self) -> RetryPolicy:
        if self.node.policy.retry is not None:
            return self.node.policy.retry
        if self.node_type is None or self.node_type.retry is None:
            return ONCE
        return self.node_type.retry(self.node.config)

    def _handled(self, failure: Failure) -> NodeResult | None:
        """Return what flows on after a failure, by the node's `onError`."""
        item = {"error": {"code": failure.code, "message": failure.message}, "input": self.data}
        match self.node.policy.on_error:
            case "continue":
                outgoing = ports_of(self.segment.plan.outgoing[self.node.id])
                return NodeResult(item, tuple(p for p in outgoing if p != "error") or ("out",))
            case "route":
                return NodeResult(item, ("error",))
            case _:
                return None

    def recorded(self) -> bool:
        """Tell whether the journal knows how this attempt ended."""
        status = self.segment.journal.status(self.node.id)
        return self.settled and (self.retry_in is not None or status is not NodeStatus.RUNNING)


async def call_directly(call: NodeCall) -> None:
    """Run an attempt without Prefect in the way."""
    await call.begin()
    await call.run()
    await call.settle()
