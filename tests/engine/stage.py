"""Workers in this process and executions for them; whatever finishes is held to the invariants."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from config import Settings
from core.graph import compile_document
from core.plan import Plan
from core.status import TERMINAL_EXECUTION
from database import events, node_runs, workflow_executions
from flows.circuit import Circuit
from flows.launch import Launcher
from flows.plans import Plans
from flows.segment import Worker
from flows.worker_loop import WorkerLoop
from store import transitions, workflows
from store.engine import Database
from store.new_execution import NewExecution
from store.payloads import decode, encode
from store.wakeup import Bell, News
from store.workflows import NewWorkflow
from tasks.resources import Resources
from tests.engine.actors import Calls, registry_of
from tests.invariants import check_execution
from tests.strategies.graphs import document, edge
from tests.until import until

Row = dict[str, Any]


class Stage:
    """A database, node types that report to `calls`, and the workers started on it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.calls = Calls()
        self.registry = registry_of(self.calls)
        self.accepted: list[str] = []
        self._bell = Bell(settings.data_dir)

    async def close(self) -> None:
        """Hold every finished execution to the invariants."""
        self._bell.close()
        catalogue = self.registry.catalogue()
        for execution_id in self.accepted:
            if (await self.find(execution_id))["status"] in TERMINAL_EXECUTION:
                await check_execution(self.database, execution_id, catalogue)

    def compile(self, document: dict[str, Any]) -> Plan:
        """Return the plan of a document, which must be valid."""
        compiled = compile_document(document, self.registry.catalogue())
        assert compiled.plan is not None, compiled.errors
        return compiled.plan

    async def accept(
        self, document: dict[str, Any] | str, *, inputs: dict[str, Any] | None = None, **facts: Any
    ) -> str:
        """Store a workflow and an execution of it; a text is stored as it is, nodes unknown."""
        text, nodes = document, facts.pop("nodes", ())
        if not isinstance(document, str):
            text, nodes = encode(document).decode(), tuple(self.compile(document).nodes)
        new_workflow = NewWorkflow(name="A workflow", data=str(text))
        row = await self.database.write(partial(workflows.create, new=new_workflow))
        new = NewExecution(
            id=secrets.token_hex(8),
            workflow_id=str(row["id"]),
            workflow_name="A workflow",
            organization_id="org",
            version=1,
            nodes=nodes,
            inputs=encode(inputs or {}).decode(),
            **facts,
        )
        await self.database.write(partial(transitions.create, new=new))
        self.accepted.append(new.id)
        self._bell.ring(News.WORK)
        return new.id

    async def cancel(self, execution_id: str) -> None:
        """Ask to cancel, as the API does."""
        request = partial(transitions.request_cancel, execution_id=execution_id, by="ana")
        await self.database.write(request)
        self._bell.ring(News.CANCEL)

    async def run(self, document: dict[str, Any] | str, **facts: Any) -> Row:
        """Accept an execution and return its row once it has ended."""
        return await self.ended(await self.accept(document, **facts))

    async def find(self, execution_id: str) -> Row:
        """Return an execution's whole row."""
        chosen = sa.select(workflow_executions).where(workflow_executions.c.id == execution_id)
        return await self.database.read(lambda c: c.execute(chosen).one()._asdict())

    async def ended(self, execution_id: str, seconds: float = 20.0) -> Row:
        """Return an execution's row once it has ended."""

        async def look() -> Row | None:
            row = await self.find(execution_id)
            return row if row["status"] in TERMINAL_EXECUTION else None

        return await until(look, "the end of an execution", seconds) or {}

    async def running(self, *nodes: str) -> None:
        """Return once all these gate nodes are running."""

        async def look() -> bool:
            return set(nodes) <= {node for _, node in self.calls.running}

        await until(look, f"{nodes} to run")

    async def events(self, execution_id: str, *types: str) -> list[tuple[str, str | None, Row]]:
        """Return type, node and data of an execution's events, or of those of some types."""
        chosen = sa.select(events).where(events.c.executionId == execution_id)
        chosen = chosen.order_by(events.c.seq)
        rows = await self.database.read(lambda c: c.execute(chosen).all())
        return [
            (row.type, row.nodeId, decode(row.data))
            for row in rows
            if not types or row.type in types
        ]

    async def nodes(self, execution_id: str) -> dict[str, str]:
        """Return the status of each node."""
        chosen = sa.select(node_runs).where(node_runs.c.executionId == execution_id)
        rows = await self.database.read(lambda c: c.execute(chosen).all())
        return {row.nodeId: row.status for row in rows}

    @asynccontextmanager
    async def worker(self, name: str = "w1", **changes: Any) -> AsyncGenerator[WorkerLoop]:
        """Run a worker for the time of a `with` block; it is drained at the end."""
        settings = self.settings.model_copy(update={"worker_name": name, **changes})
        database = Database.open(settings)
        circuit = Circuit()
        async with Resources(settings) as resources:
            worker = Worker(settings, resources, self.registry.types())
            plans = Plans(database, self.registry.catalogue(), lenient=settings.lenient_node_types)
            launcher = Launcher(database, worker, plans, circuit)
            loop = WorkerLoop(settings, database, launcher, circuit)
            task = asyncio.create_task(loop.run(), name=name)
            try:
                yield loop
            finally:
                loop.drain()
                await task
                await database.close()


def line(*nodes: dict[str, Any]) -> dict[str, Any]:
    """Return a document whose nodes follow one another."""
    following = (edge(a["id"], b["id"]) for a, b in pairwise(nodes))
    return document(list(nodes), *following)
