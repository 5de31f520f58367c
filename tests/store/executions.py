"""Executions for store tests."""

import secrets
from functools import partial

from core.plan import PlanNode
from core.walk import NodeResult
from store import transitions, workflows
from store.changes import Lease
from store.engine import Database
from store.journal import Journal
from store.new_execution import NewExecution
from store.transitions import Claimed
from store.workflows import NewWorkflow

NODES = tuple(PlanNode(f"n{index}", "addField", f"Node {index}", {}) for index in range(3))


async def accept(
    database: Database, *, nodes: tuple[PlanNode, ...] = NODES, **facts: object
) -> str:
    """Store a new execution and return its id."""
    values = {
        "id": secrets.token_hex(8),
        "workflow_id": "w1",
        "workflow_name": "A workflow",
        "organization_id": "org",
        "version": 1,
        "nodes": tuple(node.id for node in nodes),
        **facts,
    }
    new = NewExecution(**values)  # type: ignore[arg-type]
    await database.write(partial(transitions.create, new=new))
    return new.id


async def claim(database: Database, worker: str = "w", lease_ms: int = 60_000) -> list[Claimed]:
    """Claim everything that can be claimed."""
    return await database.write(
        partial(
            transitions.claim, worker=worker, limit=100, lease_ms=lease_ms, observability="full"
        )
    )


async def begin(database: Database, **facts: object) -> tuple[str, Journal]:
    """Accept an execution, claim it and return its journal."""
    execution_id = await accept(database, **facts)  # type: ignore[arg-type]
    await claim(database)
    return execution_id, Journal(database, Lease(execution_id, 1))


def run_node(journal: Journal, node: PlanNode, output: object = 1) -> None:
    """Record a node from start to result."""
    journal.started(node, 1, None)
    journal.completed(node, NodeResult(output, ("out",)), duration=5)


async def workflow(database: Database, data: str = "{}", **facts: str) -> str:
    """Store a workflow and return its id."""
    new = NewWorkflow(name=facts.pop("name", "A workflow"), data=data, **facts)
    row = await database.write(partial(workflows.create, new=new))
    return str(row["id"])
