"""What holds for every finished execution, whatever happened to it on the way.

The numbers are those of the invariants that the chaos tests check as well.
"""

from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from core.catalogue import Catalogue, no_problems
from core.graph import compile_document
from core.plan import Plan
from core.replay import ExecutionState, Recorded, replay
from core.status import TERMINAL_EXECUTION, NodeStatus
from core.walk import NodeResult, execution_result
from database import events, execution_logs, node_runs, workflow_executions, workflow_versions
from store.changes import LOG_WORDS
from store.engine import Database
from store.payloads import decode, find_payload, load_column
from tasks.load import load_node_types

Row = dict[str, Any]
_N = NodeStatus
TERMINAL_EVENTS = {f"execution.{status}" for status in TERMINAL_EXECUTION}
SETTLING = {"node.completed", "node.failed", "node.skipped", "node.reused"}


async def check_execution(
    database: Database, execution_id: str, catalogue: Catalogue | None = None
) -> ExecutionState:
    """Fail unless a finished execution's rows and events agree; return what its events tell.

    `catalogue` holds the node types that its workflow uses, if not those of the service.
    """
    return await database.read(
        partial(_check, execution_id=execution_id, catalogue=catalogue or _own_catalogue())
    )


def _own_catalogue() -> Catalogue:
    return load_node_types().catalogue()


def _check(connection: sa.Connection, execution_id: str, catalogue: Catalogue) -> ExecutionState:
    execution, recorded, epochs = _read(connection, execution_id)
    runs = _rows(connection, node_runs, execution_id)
    for run in runs:
        run["loaded"] = load_column(connection, run["output"])
    state = replay(recorded, lambda digest: decode(find_payload(connection, digest) or ""))
    _one_end(execution, recorded)
    _dense(execution, recorded)
    assert epochs == sorted(epochs), "I6: epochs go up"
    _attempts(recorded)
    _same_rows(execution, runs, state)
    _logs(_rows(connection, execution_logs, execution_id), recorded)
    plan = _plan(connection, execution, catalogue)
    if plan is not None:
        _inputs_first(recorded, plan)
        _same_result(execution, state, plan)
    return state


def _rows(connection: sa.Connection, table: sa.Table, execution_id: str) -> list[Row]:
    chosen = sa.select(table).where(table.c.executionId == execution_id)
    return [row._asdict() for row in connection.execute(chosen)]


def _read(connection: sa.Connection, execution_id: str) -> tuple[Row, list[Recorded], list[int]]:
    chosen = sa.select(workflow_executions).where(workflow_executions.c.id == execution_id)
    execution = connection.execute(chosen).one()._asdict()
    rows = sorted(_rows(connection, events, execution_id), key=lambda row: row["seq"])
    recorded = [Recorded(r["seq"], r["type"], r["nodeId"], decode(r["data"])) for r in rows]
    return execution, recorded, [row["epoch"] for row in rows]


def _one_end(execution: Row, recorded: list[Recorded]) -> None:
    """I2 and I7: one terminal event, the status row equals it, and nothing follows it."""
    ends = [event.type for event in recorded if event.type in TERMINAL_EVENTS]
    assert ends == [f"execution.{execution['status']}"]
    assert recorded[-1].type == ends[0]
    assert execution["completedAt"] is not None
    assert execution["completedAt"] >= (execution["startedAt"] or execution["createdAt"])
    assert (execution["claimAt"], execution["leaseOwner"]) == (None, None)


def _dense(execution: Row, recorded: list[Recorded]) -> None:
    """I3: numbered from 1 without a gap."""
    assert [event.seq for event in recorded] == list(range(1, execution["seq"] + 1))


def _attempts(recorded: list[Recorded]) -> None:
    """I4: one start, one more after each attempt that was retried or cut off; one result."""
    starts, resumed, results = (defaultdict[str | None, list[int]](list) for _ in range(3))
    for event in recorded:
        if event.type == "node.started":
            starts[event.node_id].append(event.data["attempt"])
        elif event.type in ("node.retrying", "node.interrupted"):
            resumed[event.node_id].append(event.data["attempt"])
        elif event.type in SETTLING:
            results[event.node_id].append(event.seq)
    for node_id, attempts in starts.items():
        assert attempts == list(range(1, len(attempts) + 1)), (node_id, attempts)
        again = set(resumed[node_id])
        assert again - {attempts[-1]} == set(attempts[:-1]), (node_id, attempts, again)
    assert all(len(found) == 1 for found in results.values())


def _same_rows(execution: Row, runs: list[Row], state: ExecutionState) -> None:
    """I9: the replay of the events gives the rows."""
    error = None if state.error is None else state.error["message"]
    assert (state.status, state.reason, error) == tuple(
        execution[name] for name in ("status", "reason", "error")
    )
    counters = {
        "settledNodes": state.count(_N.COMPLETED, _N.FAILED, _N.SKIPPED),
        "completedNodes": state.count(_N.COMPLETED),
        "failedNodes": state.count(_N.FAILED),
        "skippedNodes": state.count(_N.SKIPPED),
    }
    assert counters == {name: execution[name] for name in counters}
    assert state.total == execution["totalNodes"] == len(runs)
    assert set(state.nodes) <= {run["nodeId"] for run in runs}
    for run in runs:
        node = state.node(run["nodeId"])
        assert (state.status_of(run["nodeId"]), node.attempt) == (run["status"], run["attempt"])
        assert list(node.ports) == decode(run["ports"] or "[]")
        assert node.output == run["loaded"]
        assert node.error == (decode(run["error"]) if run["error"] else None)
    if execution["status"] == "completed":
        assert execution["settledNodes"] == execution["totalNodes"]
        assert state.result == decode(execution["finalOutput"])


def _logs(rows: list[Row], recorded: list[Recorded]) -> None:
    """Every row of the log stands beside its event."""
    by_seq = {event.seq: event for event in recorded}
    words = {f"node.{status}": word for status, word in LOG_WORDS.items()}
    words["node.started"] = "running"
    for row in rows:
        event = by_seq[row["seq"]]
        assert (row["nodeId"], row["status"]) == (event.node_id, words[event.type])
    logged = sum(event.type in words for event in recorded)
    assert len(rows) == logged


def _plan(connection: sa.Connection, execution: Row, catalogue: Catalogue) -> Plan | None:
    versions = workflow_versions.c
    chosen = sa.select(versions.data).where(
        versions.workflowId == execution["workflowId"],
        versions.version == execution["versionNumber"],
    )
    text = connection.execute(chosen).scalar_one_or_none()
    if text is None or execution["reason"] == "invalid":
        return None
    # What its settings allowed then is not asked again: a test may have opened an address.
    open_catalogue = {
        name: replace(spec, check_config=no_problems) for name, spec in catalogue.items()
    }
    return compile_document(decode(text), open_catalogue, lenient=True).plan


def _inputs_first(recorded: list[Recorded], plan: Plan) -> None:
    """I5: a node starts once its inputs are settled, at least one of them live."""
    settled: dict[str, tuple[str, ...]] = {}
    for event in recorded:
        if event.node_id is None:
            continue
        if event.type in SETTLING:
            settled[event.node_id] = tuple(event.data.get("ports", ()))
        if event.type == "node.started":
            _may_start(event.node_id, plan, settled)


def _may_start(node_id: str, plan: Plan, settled: dict[str, tuple[str, ...]]) -> None:
    incoming = plan.incoming[node_id]
    live = [edge for edge in incoming if edge.port in settled.get(edge.source, ())]
    assert live or not incoming, f"I5: {node_id} has no input"
    wanted = plan.nodes[node_id].policy.wait_for
    undecided = [edge for edge in incoming if edge.source not in settled]
    if undecided:
        assert wanted != "all", f"I5: {node_id} did not wait for {undecided}"
        assert len(live) >= (1 if wanted == "any" else int(wanted))


def _same_result(execution: Row, state: ExecutionState, plan: Plan) -> None:
    """I9: the outputs in the events give the result of the whole."""
    if execution["status"] != "completed":
        return
    results = {name: NodeResult(node.output, node.ports) for name, node in state.nodes.items()}
    assert state.result == execution_result(plan, results, lambda kind: kind == "output")
