"""The tour: what Cauce does, one idea a test, on the real service. Read it from top to bottom."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.http_target import HttpTarget
from tests.servers.in_thread import in_thread
from tests.servers.service import Service, service

Document = dict[str, Any]
ADD_TAX = {"fieldName": "total", "fieldValue": "{{ amount * 1.21 }}"}


@pytest.fixture(scope="module")
def cauce(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of the tour's own, without Prefect in the way: it starts in seconds."""
    with service(tmp_path_factory.mktemp("tour") / "data", ORCHESTRATOR="direct") as running:
        yield running


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[HttpTarget]:
    """A server that nodes can call."""
    with in_thread(HttpTarget()) as running:
        yield running


def document(*nodes: Document, ways: str) -> Document:
    """Return a workflow; `ways` are connections: `a>b`, or `a.true>b` by a port."""
    connections = []
    for way in ways.split():
        source, target = way.split(">")
        node, _, port = source.partition(".")
        connection = {"fromNodeId": node, "toNodeId": target}
        connections.append(connection | ({"outputType": port} if port else {}))
    return {"nodes": list(nodes), "connections": connections}


def node(node_id: str, kind: str, **config: Any) -> Document:
    return {"id": node_id, "type": kind, "label": node_id.capitalize(), "config": config}


AMOUNT = node("amount", "manualInput", inputVarName="amount", inputVarValue=100)


def test_a_workflow_is_a_drawing_that_runs_in_the_background(cauce: Service) -> None:
    # R003-03, R003-04
    workflow = document(AMOUNT, node("tax", "addField", **ADD_TAX), ways="amount>tax")
    started = cauce.client.post(
        "/api/workflows/execute", json={"workflowId": cauce.save(workflow)}
    ).json()
    assert started["status"] == "pending"
    assert cauce.wait(started["executionId"])["finalOutput"] == {"amount": 100, "total": 121}


def test_each_start_may_bring_its_own_inputs(cauce: Service) -> None:
    # R003-15
    workflow = document(AMOUNT, node("end", "output"), ways="amount>end")
    assert cauce.run(workflow, {"amount": 7})["finalOutput"] == {"amount": 7}


def test_a_condition_sends_its_input_one_way(cauce: Service) -> None:
    # R003-19
    large = node(
        "large",
        "condition",
        conditionField="amount",
        conditionOperator="greaterThan",
        conditionValue="50",
    )
    ask, pay = node("ask", "output"), node("pay", "output")
    workflow = document(AMOUNT, large, ask, pay, ways="amount>large large.true>ask large.false>pay")
    seen = cauce.run(workflow)
    told = {log["nodeId"]: log["status"] for log in cauce.logs(seen["executionId"])}
    assert told == {
        "amount": "completed",
        "large": "completed",
        "ask": "completed",
        "pay": "skipped",
    }
    assert seen["progress"]["percentage"] == 100


def test_where_ways_meet_a_node_runs_once_with_all_that_came(cauce: Service) -> None:
    left = node("left", "addField", fieldName="left", fieldValue="L")
    right = node("right", "addField", fieldName="right", fieldValue="R")
    workflow = document(
        AMOUNT,
        left,
        right,
        node("end", "output"),
        ways="amount>left amount>right left>end right>end",
    )
    assert cauce.run(workflow)["finalOutput"] == {"amount": 100, "left": "L", "right": "R"}


def test_a_node_that_fails_says_why_and_ends_the_execution(
    cauce: Service, elsewhere: HttpTarget
) -> None:
    call = node("call", "http", httpUrl=elsewhere.url("/status/404?key=tour-404"))
    seen = cauce.run(document(call, node("end", "output"), ways="call>end"))
    assert seen["status"] == "failed"
    assert "404" in seen["error"]
    assert elsewhere.count("tour-404") == 1


def test_a_failure_can_be_a_way_to_go_on(cauce: Service, elsewhere: HttpTarget) -> None:
    call = node("call", "http", httpUrl=elsewhere.url("/status/404?key=t"), onError="route")
    workflow = document(
        call,
        node("good", "output"),
        node("bad", "output"),
        ways="call.out>good call.error>bad",
    )
    seen = cauce.run(workflow)
    assert seen["status"] == "completed"
    assert seen["finalOutput"]["error"]["code"] == "http_status"


def test_a_document_is_checked_whole_before_anything_runs(cauce: Service) -> None:
    # R003-18, B054, B070
    workflow = document(node("a", "addFeild"), node("b", "output"), ways="a>b b>a")
    answer = cauce.client.post("/api/workflows", json={"name": "Wrong", "data": workflow})
    assert answer.status_code == 422
    problems = {problem["code"]: problem for problem in answer.json()["errors"]}
    assert {"node_type_unknown", "graph_cycle"} <= set(problems)
    assert "addField" in problems["node_type_unknown"]["message"]


def test_cancel_interrupts(cauce: Service, elsewhere: HttpTarget) -> None:
    # R000-15, P19
    slow = node(
        "slow", "http", httpUrl=elsewhere.url("/slow?seconds=30&key=tour-slow"), httpTimeout=60
    )
    execution = cauce.execute(cauce.save(document(slow, node("end", "output"), ways="slow>end")))
    while not elsewhere.count("tour-slow"):
        assert cauce.poll(execution)["status"] in {"pending", "running"}
    assert cauce.client.post(f"/api/executions/{execution}/cancel").json()["success"]
    assert cauce.wait(execution, seconds=2)["status"] == "cancelled"


def test_a_killed_worker_loses_nothing(cauce: Service, elsewhere: HttpTarget) -> None:
    # P2
    before = node("before", "http", httpMethod="POST", httpUrl=elsewhere.url("/json?key=tour-once"))
    slow = node("slow", "http", httpUrl=elsewhere.url("/slow?seconds=1&key=tour-again"))
    execution = cauce.execute(cauce.save(document(before, slow, ways="before>slow")))
    while not elsewhere.count("tour-again"):
        cauce.poll(execution)
    cauce.kill("worker-1")
    assert cauce.wait(execution)["status"] == "completed"
    assert (elsewhere.count("tour-once"), elsewhere.count("tour-again")) == (1, 2)
