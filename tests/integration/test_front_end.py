"""An existing front end against the real service: its calls, the fields that it reads."""

import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.graphs import chain, field, http, node, value
from tests.servers.http_target import HttpTarget
from tests.servers.service import FINAL, Service

EXAMPLES = Path(__file__).parents[2] / "examples"
HEX16 = re.compile(r"[0-9a-f]{16}")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
Answer = dict[str, Any]


class FrontEnd:
    """The client as it is: it asks whether the service is there, starts, and polls until final."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def is_available(self) -> bool:
        return bool(self._client.get("/").json()["status"] == "running")

    def start(self, workflow_id: str, inputs: Answer, **more: Any) -> Answer:
        body = {"workflowId": workflow_id, "inputs": inputs, "organizationId": "org-1", **more}
        answer = self._client.post("/api/workflows/execute", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def get(self, path: str) -> Answer:
        return dict(self._client.get(path).json())

    def follow(self, execution_id: str) -> list[Answer]:
        """Return every picture that it saw; the last one is final."""
        seen: list[Answer] = []
        deadline = time.monotonic() + 40
        while not seen or seen[-1]["status"] not in FINAL:
            assert time.monotonic() < deadline
            seen.append(self.get(f"/api/executions/{execution_id}"))
            time.sleep(0.05)  # its polling interval, shortened
        return seen


@pytest.fixture
def front(running: Service) -> FrontEnd:
    return FrontEnd(running.client)


def example(name: str) -> Answer:
    loaded: Answer = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))
    return loaded


# R003-11
def test_the_service_says_that_it_is_there(front: FrontEnd) -> None:
    told = front.get("/")
    assert front.is_available()
    assert set(told) >= {"service", "status", "version", "timestamp"}
    assert ISO.fullmatch(told["timestamp"])


# R003-02, R003-03, R003-04, R003-05, R003-07, R003-08, R003-13, R003-34
def test_a_workflow_is_started_and_polled_to_its_end(
    running: Service, front: FrontEnd, target: HttpTarget
) -> None:
    slow = http("wait", target.url("/slow?seconds=0.4"))
    workflow_id = running.save(chain(value("a", 1, "a"), slow, node("out", "output")), "Orders")
    began = time.monotonic()
    started = front.start(workflow_id, {"a": 5}, mode="optimized")
    assert time.monotonic() - began < 0.4
    execution_id = started.pop("executionId")
    assert HEX16.fullmatch(execution_id)
    assert started == {
        "success": True,
        "status": "pending",
        "message": "Workflow execution started in background",
        "workflowId": workflow_id,
        "workflowName": "Orders",
    }
    seen = front.follow(execution_id)
    shown = [one["progress"]["percentage"] for one in seen]
    last = seen[-1]
    assert {one["status"] for one in seen} <= {"pending", "running", "completed"}
    assert "running" in {one["status"] for one in seen}
    assert shown == sorted(shown)
    assert (last["status"], last["finalOutput"], last["error"]) == ("completed", {"ok": True}, None)
    assert last["progress"].items() >= {
        ("totalNodes", 3),
        ("completedNodes", 3),
        ("failedNodes", 0),
        ("percentage", 100),
    }
    assert (last["executionId"], last["workflowId"]) == (execution_id, workflow_id)
    assert last["createdAt"] <= last["startedAt"] <= last["completedAt"]
    assert all(ISO.fullmatch(last[name]) for name in ("createdAt", "startedAt", "completedAt"))
    assert last["currentNodeId"] == "out"
    assert front.get(f"/api/executions/{execution_id}") == last


# R003-10, R003-38
def test_log_rows_have_the_known_fields_and_units(
    running: Service, front: FrontEnd, target: HttpTarget
) -> None:
    slow = http("wait", target.url("/slow?seconds=0.15"))
    seen = running.run(chain(value("a", 1, "a"), slow))
    told = front.get(f"/api/executions/{seen['executionId']}/logs")
    rows = told["logs"]
    pairs = [(row["nodeId"], row["nodeType"], row["nodeLabel"], row["status"]) for row in rows]
    assert told["executionId"] == seen["executionId"]
    assert pairs == [
        ("a", "manualInput", "A", "running"),
        ("a", "manualInput", "A", "completed"),
        ("wait", "http", "Wait", "running"),
        ("wait", "http", "Wait", "completed"),
    ]
    assert all(HEX16.fullmatch(row["id"]) and ISO.fullmatch(row["timestamp"]) for row in rows)
    assert [type(row["duration"]) for row in rows] == [type(None), int, type(None), int]
    assert 150 <= rows[3]["duration"] < 3000
    assert json.loads(rows[2]["inputData"]) == {"a": 1}
    result = json.loads(rows[3]["outputData"])
    assert (result["success"], result["outputData"]) == (True, {"ok": True})
    assert isinstance(result["message"], str)


# R003-08, C5
def test_a_cancel_answers_in_the_known_shapes(
    running: Service, front: FrontEnd, target: HttpTarget
) -> None:
    workflow_id = running.save(chain(value("a", 1), http("b", target.url("/slow?seconds=20"))))
    execution_id = front.start(workflow_id, {})["executionId"]
    running.wait_inside(execution_id, "b")
    answer = running.cancel(execution_id)
    last = front.follow(execution_id)[-1]
    assert (answer["success"], answer["executionId"]) == (True, execution_id)
    assert answer["previousStatus"] == "running"
    assert isinstance(answer["message"], str)
    assert last["status"] == "cancelled"
    assert running.cancel(execution_id) == {
        "success": False,
        "executionId": execution_id,
        "message": "Cannot cancel execution with status 'cancelled'",
        "previousStatus": "cancelled",
    }


# R003-12
def test_the_executions_of_a_workflow_are_listed(running: Service, front: FrontEnd) -> None:
    workflow_id = running.save(chain(value("a", 1)), "Listed")
    ids = [front.start(workflow_id, {})["executionId"] for _ in range(3)]
    for execution_id in ids:
        running.wait(execution_id)
    told = front.get(f"/api/workflows/{workflow_id}/executions?limit=2")
    assert (told["workflowId"], told["workflowName"], told["total"]) == (workflow_id, "Listed", 3)
    assert len(told["executions"]) == 2
    assert {row["id"] for row in told["executions"]} <= set(ids)
    wanted = {"id", "workflowId", "status", "createdAt", "startedAt", "completedAt", "error"}
    assert all(set(row) >= wanted for row in told["executions"])
    assert {row["status"] for row in told["executions"]} == {"completed"}


def test_errors_are_sentences_that_it_can_show(running: Service, front: FrontEnd) -> None:
    unknown = running.client.post("/api/workflows/execute", json={"workflowId": "nowhere"})
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "Workflow nowhere not found")
    for path in ("/api/executions/nothing", "/api/workflows/nothing/executions"):
        assert isinstance(front.get(path)["detail"], str)
    wrong = running.client.post("/api/workflows/execute", content=b"{")
    assert (wrong.status_code, type(wrong.json()["detail"])) == (415, str)


def test_one_node_is_run_by_itself(running: Service) -> None:
    def run(made: Answer, given: Any) -> Answer:
        body = {"workflowId": "any", "nodeId": made["id"], "nodeType": made["type"], "node": made}
        answer = running.client.post("/api/nodes/execute", json={**body, "inputData": given})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    good = run(field("f", "sum", "{{ a + b }}"), {"a": 1, "b": 2})
    bad = run(field("f", "sum", "{{ missing.deep }}"), {})
    assert (good["success"], good["nodeId"], good["nodeType"]) == (True, "f", "addField")
    assert (good["output"], type(good["message"])) == ({"a": 1, "b": 2, "sum": 3}, str)
    assert (bad["success"], bad["nodeId"], type(bad["error"])) == (False, "f", str)


# R003-14, R003-15, R003-16, R003-17, R003-18, R003-19, R003-20, R003-21, R003-23
def test_the_examples_come_to_their_known_results(
    running: Service, front: FrontEnd, data_url: str
) -> None:
    results = {}
    for name in ("quickstart", "price_comparison", "support_triage"):
        body = example(name)
        inputs = {"amount": 50} if name == "quickstart" else {"source": data_url}
        started = front.start(running.save(body["data"], body["name"]), inputs)
        last = front.follow(started["executionId"])[-1]
        assert (name, last["status"], last["error"]) == (name, "completed", None)
        results[name] = last["finalOutput"]
    assert results["quickstart"] == {"amount": 50, "total": 60.5}
    shops = results["price_comparison"]
    assert set(shops) == {"Buy in shop A", "Buy in shop B"}
    assert all(record["advice"] for records in shops.values() for record in records)
    tickets = results["support_triage"]["inputData"]
    urgency = Counter(ticket["urgency"] for ticket in tickets)
    note = results["support_triage"]["response"]
    assert (urgency.total(), set(urgency)) == (12, {"urgent", "normal"})
    assert note.startswith(f"12 tickets are sorted. {urgency['urgent']} are urgent: ")
    assert all("onCall" in one for one in tickets if one["urgency"] == "urgent")


# R003-31, R003-38
def test_the_tables_can_be_read_by_hand_while_the_service_runs(running: Service) -> None:
    seen = running.run(chain(value("a", 1, "a"), node("out", "output")))
    columns = "workflowId, status, triggerType, currentNodeId, finalOutput, error, createdAt"
    table = f"SELECT {columns}, startedAt, completedAt FROM workflow_executions WHERE id=?"
    row = running.sql(table, seen["executionId"])[0]
    logs = running.sql(
        "SELECT nodeId, nodeType, nodeLabel, status, inputData, outputData, error, duration, "
        "timestamp FROM execution_logs WHERE executionId=? ORDER BY timestamp, rowid",
        seen["executionId"],
    )
    names = ("workflowId", "status", "triggerType", "currentNodeId")
    assert row[:4] == tuple(seen[name] for name in names)
    assert (json.loads(row[4]), row[5]) == ({"a": 1}, None)
    assert row[6:] == tuple(seen[name] for name in ("createdAt", "startedAt", "completedAt"))
    assert [(log[0], log[3]) for log in logs] == [
        *[("a", "running"), ("a", "completed")],
        *[("out", "running"), ("out", "completed")],
    ]
    assert running.sql("PRAGMA journal_mode") == [("wal",)]
