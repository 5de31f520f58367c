"""What people see in Prefect of our executions, and what must never be seen there."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.integration.graphs import chain, field, http, node, value
from tests.integration.prefect_picture import PrefectPicture
from tests.servers.http_target import HttpTarget
from tests.servers.service import Service

EXAMPLES = Path(__file__).parents[2] / "examples"
AT_ONCE = 32


@pytest.fixture
def picture(running: Service) -> PrefectPicture:
    return PrefectPicture(running)


# R003-01, F13
def test_an_example_is_a_flow_run_with_a_task_run_for_each_node(
    running: Service, picture: PrefectPicture, data_url: str
) -> None:
    example = json.loads((EXAMPLES / "price_comparison.json").read_text("utf-8"))
    document = example["data"]
    workflow_id = running.save(document, example["name"])
    execution_id = running.execute(workflow_id, {"source": data_url})
    seen = running.wait(execution_id)
    labels = {n["id"]: n["label"] for n in document["nodes"] if n["type"] != "comment"}
    flow_run = picture.flow_run(execution_id)
    runs = {run["name"]: run for run in picture.task_runs(flow_run, len(labels))}
    assert (seen["status"], seen["observability"]) == ("completed", "full")
    assert flow_run["name"] == f"Price comparison · {execution_id}"
    assert (flow_run["id"], flow_run["state_type"]) == (seen["prefectFlowRunId"], "COMPLETED")
    assert flow_run["parameters"] == {"execution_id": execution_id}
    assert set(runs) == set(labels.values())
    assert {run["state_type"] for run in runs.values()} == {"COMPLETED"}
    drawn = {
        (source["id"], name)
        for name, run in runs.items()
        for sources in run["task_inputs"].values()
        for source in sources
        if source["input_type"] == "task_run"
    }
    assert drawn == {
        (runs[labels[line["fromNodeId"]]]["id"], labels[line["toNodeId"]])
        for line in document["connections"]
    }


# F13
def test_a_failed_execution_is_a_failed_flow_run(
    running: Service, picture: PrefectPicture, target: HttpTarget
) -> None:
    seen = running.run(chain(value("a", 1), http("b", target.url("/status/404"))))
    flow_run = picture.flow_run(seen["executionId"])
    states = [(run["name"], run["state_type"]) for run in picture.task_runs(flow_run, 2)]
    assert (seen["status"], flow_run["state_type"]) == ("failed", "FAILED")
    assert states == [("A", "COMPLETED"), ("B", "FAILED")]


# F13, P19
def test_a_cancelled_execution_is_a_cancelled_flow_run_and_not_a_crashed_one(
    running: Service, picture: PrefectPicture, target: HttpTarget
) -> None:
    document = chain(value("a", 1), http("b", target.url("/slow?seconds=30")))
    execution_id = running.execute(running.save(document))
    running.wait_inside(execution_id, "b")
    running.cancel(execution_id)
    seen = running.wait(execution_id)
    flow_run = picture.flow_run(execution_id)
    states = [(run["name"], run["state_type"]) for run in picture.task_runs(flow_run, 2)]
    assert (seen["status"], flow_run["state_type"]) == ("cancelled", "CANCELLED")
    assert states == [("A", "COMPLETED"), ("B", "CANCELLED")]


# S-09
def test_nothing_of_the_users_data_reaches_prefect(
    running: Service, picture: PrefectPicture, target: HttpTarget
) -> None:
    marked: Any = {
        "__prefect_kind": "json",
        "value": '{"x": "canary-marker"}',
        "deep": [{"__prefect_kind": "workspace_variable", "variable_name": "canary-name"}],
    }
    document = chain(
        value("a", "canary-configured", "given"),
        field("b", "made", "canary-{{ 'computed' }}"),
        http(
            "c", target.url("/echo?secret=canary-url"), "POST", httpHeaders={"X-K": "canary-head"}
        ),
        http("d", target.url("/status/418?body=canary-error")),
    )
    execution_id = running.execute(running.save(document), {"a": marked})
    seen = running.wait(execution_id)
    picture.task_runs(picture.flow_run(execution_id), 4)
    outputs = {
        row["nodeId"]: json.loads(row["outputData"])["outputData"]
        for row in running.logs(execution_id)
        if row["status"] == "completed"
    }
    stored = picture.stored_bytes()
    assert seen["status"] == "failed"
    assert outputs["b"] == {"given": marked, "made": "canary-computed"}
    assert json.loads(outputs["c"]["body"]) == outputs["b"]
    assert execution_id.encode() in stored
    assert re.findall(rb"canary[-a-z]*", stored) == []


# R003-35, F13
def test_many_executions_at_once_are_all_completed_and_shown(
    running: Service, picture: PrefectPicture
) -> None:
    told = len(running.log.read_text("utf-8"))
    workflow_id = running.save(chain(value("a", 1), field("b", "x", 2), node("c", "output")))
    started = [running.execute(workflow_id) for _ in range(AT_ONCE)]
    seen = [running.wait(execution_id, 40) for execution_id in started]
    assert Counter(one["status"] for one in seen) == {"completed": AT_ONCE}
    assert Counter(one["observability"] for one in seen) == {"full": AT_ONCE}
    assert len({one["prefectFlowRunId"] for one in seen}) == AT_ONCE
    assert [picture.flow_run(one)["state_type"] for one in started] == ["COMPLETED"] * AT_ONCE
    assert {one["version"] for one in seen} == {1}
    lines = running.log.read_text("utf-8")[told:].splitlines()
    assert [line for line in lines if re.search(r"retry|WARNING|ERROR|Traceback", line)] == []
