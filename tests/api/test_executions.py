"""Executions as clients see them: polled, listed, cancelled."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.pages import cursor, read_cursor
from core.errors import CauceError
from core.events import ExecutionCompleted
from core.plan import PlanNode
from core.status import ExecutionStatus
from core.walk import NodeResult
from store import transitions
from store.changes import Ending, Lease
from store.engine import Database
from store.journal import Journal
from store.payloads import Stored
from tests.api.conftest import problem
from tests.servers.api_server import GREETING, ApiServer

NODES = [PlanNode(n["id"], n["type"], n["id"].title(), {}) for n in GREETING["nodes"]]


async def claimed(database: Database, execution_id: str, lease_ms: int = 60_000) -> Journal:
    """Take an execution as a worker does; whatever else waits is taken along."""
    claim = partial(
        transitions.claim, worker="w", limit=1000, lease_ms=lease_ms, observability="full"
    )
    found = await database.write(claim)
    lease = next(one.lease for one in found if one.lease.execution_id == execution_id)
    return Journal(database, Lease(execution_id, lease.epoch))


def worked(server: ApiServer, execution_id: str, work: Callable[[Journal], Any]) -> None:
    """Do a worker's work on an execution."""

    async def go() -> None:
        database = Database.open(server.settings)
        try:
            await work(await claimed(database, execution_id))
        finally:
            await database.close()

    asyncio.run(go())


def test_a_poll_tells_where_an_execution_is(server: ApiServer) -> None:
    # R003-08, R003-09, R003-10, R003-13, C11
    execution_id = server.execute(server.save())

    async def work(journal: Journal) -> None:
        journal.started(NODES[0], 1, None)
        journal.completed(NODES[0], NodeResult({"a": 1}, ("out",)), duration=150, message="ok")
        journal.started(NODES[1], 1, {"a": 1})
        await journal.flush()

    worked(server, execution_id, work)
    found = server.poll(execution_id)
    assert found["status"] == "running"
    assert found["progress"] == {
        "totalNodes": 3,
        "completedNodes": 1,
        "failedNodes": 0,
        "skippedNodes": 0,
        "percentage": 33,
    }
    assert (found["currentNodeId"], found["finalOutput"]) == ("name", None)
    assert found["startedAt"].endswith("Z")
    assert [log["status"] for log in found["logs"]] == ["running", "completed", "running"]
    done = found["logs"][1]
    assert (done["nodeId"], done["nodeType"], done["duration"]) == ("start", "trigger", 150)
    assert json.loads(done["outputData"]) == {
        "success": True,
        "message": "ok",
        "outputData": {"a": 1},
    }
    assert json.loads(found["logs"][2]["inputData"]) == {"a": 1}
    logs = server.client.get(f"/api/executions/{execution_id}/logs").json()
    assert logs == {"executionId": execution_id, "logs": found["logs"]}


@pytest.mark.parametrize("result", [0, False, "", [], None, {"a": [1, "é"]}])
def test_the_result_is_answered(server: ApiServer, result: Any) -> None:
    # R003-07, defect 10
    execution_id = server.execute(server.save())

    async def work(journal: Journal) -> None:
        stored = Stored.of(result)
        ending = Ending(ExecutionStatus.COMPLETED, result=stored.column)
        await journal.end(ExecutionCompleted(None), ending, result=stored)

    worked(server, execution_id, work)
    found = server.poll(execution_id)
    assert (found["status"], found["finalOutput"]) == ("completed", result)
    assert found["completedAt"]


def test_a_poll_reads_ten_logs_of_many(server: ApiServer) -> None:
    # Defect 14: 400 rows of 60 kB each are not touched by a poll
    execution_id = server.execute(server.save())
    large = json.dumps("x" * 60_000)
    for number in range(400):
        server.sql(
            'INSERT INTO execution_logs (id, "executionId", seq, "outputData", timestamp) '
            "VALUES (?, ?, ?, ?, '')",
            f"{execution_id}-{number}",
            execution_id,
            number,
            large if number < 390 else "0",
        )
    answer = server.client.get(f"/api/executions/{execution_id}")
    ids = [log["id"] for log in answer.json()["logs"]]
    assert ids == [f"{execution_id}-{number}" for number in range(390, 400)]
    # A poll that read them all would take as long as the answer that shows them all.
    every = server.client.get(f"/api/executions/{execution_id}/logs")
    assert len(every.json()["logs"]) == 400
    polls = min(
        server.client.get(f"/api/executions/{execution_id}").elapsed.total_seconds()
        for _ in range(5)
    )
    assert polls < every.elapsed.total_seconds() / 2


def test_a_cancelled_pending_execution_has_ended(server: ApiServer) -> None:
    # Defect 5, B145, P19
    execution_id = server.execute(server.save())
    path = f"/api/executions/{execution_id}/cancel"
    assert server.client.post(path).json() == {
        "success": True,
        "executionId": execution_id,
        "message": "Execution cancelled",
        "previousStatus": "pending",
    }
    found = server.poll(execution_id)
    assert (found["status"], found["reason"]) == ("cancelled", "cancelled")
    assert found["completedAt"]
    before = server.rows()
    again = server.client.post(path)
    assert (again.status_code, again.json()) == (
        200,
        {
            "success": False,
            "executionId": execution_id,
            "message": "Cannot cancel execution with status 'cancelled'",
            "previousStatus": "cancelled",
        },
    )
    assert server.rows() == before


def test_the_worker_of_a_running_execution_is_asked(server: ApiServer) -> None:
    # B144, B145, C5
    execution_id = server.execute(server.save())

    async def work(journal: Journal) -> None:
        await journal.flush()

    worked(server, execution_id, work)
    cancel = f"/api/executions/{execution_id}/cancel"
    found = server.client.post(cancel, json={"cancelledBy": "Ada"}).json()
    assert (found["message"], found["previousStatus"]) == ("Cancellation requested", "running")
    seen = server.poll(execution_id)
    assert seen["status"] == "running"
    assert seen["cancelRequestedAt"]
    assert server.client.post(cancel).json()["success"] is True


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"", "text/plain", 415, "unsupported_media_type"),
        (b"x=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b'{"status": "failed"}', "application/json", 422, "field_unknown"),
        (b"{", "application/json", 400, "json_malformed"),
    ],
)
def test_a_cancel_takes_json_or_nothing(
    server: ApiServer, content: bytes, kind: str, status: int, code: str
) -> None:
    # S-35, S-44
    execution_id = server.execute(server.save())
    path, headers = f"/api/executions/{execution_id}/cancel", {"Content-Type": kind}
    problem(server.client.post(path, content=content, headers=headers), status, code)
    assert server.poll(execution_id)["status"] == "pending"


def listed(client: httpx.Client, **query: str) -> list[str]:
    """Return the ids on all pages of a list."""
    seen: list[str] = []
    following: str | None = ""
    while following is not None:
        answer = client.get("/api/executions", params={**query, "cursor": following})
        assert answer.status_code == 200, answer.text
        seen += [one["executionId"] for one in answer.json()["executions"]]
        following = answer.json()["nextCursor"]
    return seen


def test_executions_are_listed_page_by_page(server: ApiServer) -> None:
    # B155, R003-12
    workflow_id = server.save(organizationId="pages")
    ids = [server.execute(workflow_id) for _ in range(7)]
    server.client.post(f"/api/executions/{ids[0]}/cancel")
    for query in ({"workflowId": workflow_id}, {"organizationId": "pages"}):
        found = listed(server.client, limit="3", **query)
        assert len(found) == 7
        assert set(found) == set(ids)
    assert listed(server.client, workflowId=workflow_id, status="cancelled,failed") == [ids[0]]
    assert len(listed(server.client, workflowId=workflow_id, status="pending")) == 6
    assert len(listed(server.client, workflowId=workflow_id, createdFrom="2020-01-01")) == 7
    assert listed(server.client, workflowId=workflow_id, createdTo="2020-01-01T00:00:00Z") == []
    history = server.client.get(f"/api/workflows/{workflow_id}/executions?limit=2").json()
    assert (history["workflowId"], history["workflowName"]) == (workflow_id, "Greeting")
    assert (history["total"], len(history["executions"])) == (7, 2)
    assert set(history["executions"][0]) >= {
        *("id", "workflowId", "status", "createdAt", "startedAt", "completedAt", "error")
    }
    problem(server.client.get("/api/workflows/none/executions"), 404, "not_found")


QUERIES: list[tuple[str, str, str]] = [
    ("B152", "limit=0", "page_size"),
    ("B152", "limit=-1", "page_size"),
    ("B152", "limit=1000000", "page_size"),
    ("B152", "limit=x", "page_size"),
    ("B152", "limit=%D9%A3", "page_size"),
    ("B152", "cursor=forged", "cursor_invalid"),
    ("B152", "cursor=!!!!", "cursor_invalid"),
    ("B152", "cursor=" + "A" * 5000, "cursor_invalid"),
    ("B153", "sort=id;DROP TABLE workflows", "field_unknown"),
    ("B153", "order_by=1", "field_unknown"),
    ("B153", "status=' OR 1=1 --", "value_unknown"),
    ("S-46", "status=success", "value_unknown"),
    ("S-46", "workflowId=%00", "string_nul"),
    ("B154", "createdFrom=2026-02-01&createdTo=2026-01-01", "time_range"),
    ("B154", "createdFrom=yesterday", "time_invalid"),
    ("B154", "createdTo=0001-01-01T00:00:00%2B23:00", "time_invalid"),
]


@pytest.mark.parametrize(("row", "query", "code"), QUERIES)
def test_a_wrong_query_is_refused(client: httpx.Client, row: str, query: str, code: str) -> None:
    # B152, B153, B154, S-46
    found = problem(client.get(f"/api/executions?{query}"), 422, code)
    assert found["errors"], row


@pytest.mark.parametrize("text", ["' OR '1'='1", "%", "$.a", '"', "a*b", "x\\"])
def test_filters_are_values_and_nothing_else(client: httpx.Client, text: str) -> None:
    # S-46
    found = client.get("/api/executions", params={"workflowId": text, "organizationId": text})
    assert found.json() == {"executions": [], "nextCursor": None}
    problem(client.get(f"/api/executions/{text.replace('%', '%25')}"), 404, "not_found")


PLACES = st.tuples(
    st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), max_size=30),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60),
)


@given(PLACES)
@settings(max_examples=100, deadline=None)
def test_a_cursor_leads_back_to_its_place(place: tuple[str, str]) -> None:
    assert read_cursor(cursor(place)) == place


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_word_is_a_cursor_or_refused(word: str) -> None:
    # B152
    found = None
    try:
        found = read_cursor(word)
    except CauceError as error:
        assert error.code == "cursor_invalid"  # noqa: PT017
    assert found is None or cursor(found) == word
