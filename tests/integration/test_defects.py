"""What was wrong with how graphs were run before, each defect tried on ours, with Prefect in it.

Defects 2, 5 and 11 to 14, which are about what is outside a graph, are in
`test_defects_outside.py`.
"""

import json
import re
from typing import Any

import pytest

from tests.integration.graphs import chain, field, graph, http, node, value
from tests.servers.http_target import HttpTarget
from tests.servers.service import Service

UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def words(running: Service, execution_id: str) -> dict[str, list[str]]:
    """Return the statuses of each node's log rows, in order."""
    found: dict[str, list[str]] = {}
    for row in running.logs(execution_id):
        found.setdefault(row["nodeId"], []).append(row["status"])
    return found


# R003-19
@pytest.mark.parametrize("port_key", ["outputType", "fromPort"])
@pytest.mark.parametrize(("amount", "port"), [(7, "true"), (3, "false")])
def test_01_only_the_branch_that_the_condition_chose_runs(
    running: Service, target: HttpTarget, port_key: str, amount: int, port: str
) -> None:
    key = f"defect-1-{port_key}-{amount}"
    rule: dict[str, Any] = {
        "conditionField": "amount",
        "conditionOperator": "greaterThan",
        "conditionValue": 5,
    }
    document = graph(
        value("amount", amount, "amount"),
        node("check", "condition", **rule),
        http("true", target.url(f"/json?key={key}-true")),
        http("false", target.url(f"/json?key={key}-false")),
        *("amount > check", "check.true > true", "check.false > false"),
        port_key=port_key,
    )
    seen = running.run(document)
    other = "false" if port == "true" else "true"
    assert (seen["status"], seen["progress"]["skippedNodes"]) == ("completed", 1)
    assert words(running, seen["executionId"])[other] == ["skipped"]
    assert (target.count(f"{key}-{port}"), target.count(f"{key}-{other}")) == (1, 0)


# R003-08, R003-09
def test_03_progress_counts_settled_nodes_and_ends_at_100(
    running: Service, target: HttpTarget
) -> None:
    before = [field(f"n{i}", f"f{i}", i) for i in range(4)]
    after = [field(f"n{i}", f"f{i}", i) for i in range(5, 9)]
    slow = http("slow", target.url("/slow?seconds=0.5"))
    document = chain(value("start", 1), *before, slow, *after)
    execution_id = running.execute(running.save(document))
    running.wait_inside(execution_id, "slow")
    half = running.poll(execution_id)
    assert half["currentNodeId"] == "slow"
    assert half["progress"]["totalNodes"] == 10
    assert half["progress"]["completedNodes"] == 5
    assert half["progress"]["percentage"] == 50
    assert running.wait(execution_id)["progress"]["percentage"] == 100


# R003-03, R003-15
def test_04_inputs_reach_the_nodes_that_they_name(running: Service) -> None:
    document = graph(
        *(value("a", 1, "a"), value("b", 2, "b"), value("c", 3, "c"), node("out", "output")),
        *("a > out", "b > out", "c > out"),
    )
    execution_id = running.execute(running.save(document), {"a": 10, "c": 0})
    assert running.wait(execution_id)["finalOutput"] == {"a": 10, "b": 2, "c": 0}


def test_06_nothing_runs_after_a_failed_node(running: Service, target: HttpTarget) -> None:
    document = chain(
        value("a", 1),
        http("fails", target.url("/status/404?body=nobody")),
        http("child", target.url("/json?key=defect-6")),
        node("out", "output"),
    )
    seen = running.run(document)
    assert (seen["status"], seen["reason"]) == ("failed", "node_failed")
    assert seen["finalOutput"] is None
    assert "Fails" in seen["error"]
    assert target.count("defect-6") == 0
    assert words(running, seen["executionId"]) == {
        "a": ["running", "completed"],
        "fails": ["running", "error"],
    }


# R003-21
@pytest.mark.parametrize(("left", "right"), [("A", "B"), ("B", "A")])
def test_07_a_join_gets_its_sides_by_their_input_ports(
    running: Service, left: str, right: str
) -> None:
    document = graph(
        *(value("a", 5, "price"), field("left", "id", 1)),
        *(value("b", 7, "price"), field("right", "id", 1)),
        node("join", "join", joinStrategy="mergeByKey", joinKey="id"),
        *("a > left", "b > right", f"left > join.{left}", f"right > join.{right}"),
    )
    seen = running.run(document)
    first, second = (5, 7) if left == "A" else (7, 5)
    assert seen["finalOutput"] == [{"price": first, "id": 1, "B_price": second}]


def test_08_the_join_of_a_diamond_runs_once_with_both_sides(
    running: Service, target: HttpTarget
) -> None:
    document = graph(
        *(value("top", 1, "top"), field("left", "l", 1), field("right", "r", 2)),
        http("joined", target.url("/echo?key=defect-8"), "POST"),
        *("top > left", "top > right", "left > joined", "right > joined"),
    )
    seen = running.run(document)
    assert seen["status"] == "completed"
    assert target.count("defect-8") == 1
    assert json.loads(seen["finalOutput"]["body"]) == {"top": 1, "l": 1, "r": 2}


# R003-23
def test_09_comments_are_neither_run_nor_counted(running: Service) -> None:
    document = chain(value("a", 1), node("out", "output"))
    document["nodes"].append(node("note", "comment", commentText="read me"))
    seen = running.run(document)
    assert seen["progress"]["totalNodes"] == 2
    assert seen["progress"]["percentage"] == 100
    assert set(words(running, seen["executionId"])) == {"a", "out"}


# R003-10
def test_10_durations_are_milliseconds_and_times_are_utc(
    running: Service, target: HttpTarget
) -> None:
    document = chain(value("a", 1), http("slow", target.url("/slow?seconds=0.3")))
    seen = running.run(document)
    rows = running.logs(seen["executionId"])
    slow = next(row for row in rows if (row["nodeId"], row["status"]) == ("slow", "completed"))
    assert 300 <= slow["duration"] < 3000
    assert all(isinstance(row["duration"], int | None) for row in rows)
    times = [seen[name] for name in ("createdAt", "startedAt", "completedAt")]
    times += [row["timestamp"] for row in rows]
    assert all(UTC.fullmatch(time) for time in times), times


# R003-10
@pytest.mark.parametrize("empty", [0, False, "", [], {}, None])
def test_10_values_that_count_as_false_are_stored_as_they_are(running: Service, empty: Any) -> None:
    document = chain(value("a", 1, "kept"), field("b", "copy", "{{ kept }}"), node("c", "output"))
    execution_id = running.execute(running.save(document), {"a": empty})
    wanted = {"kept": empty, "copy": empty}
    assert running.wait(execution_id)["finalOutput"] == wanted
    row = running.sql(
        "SELECT inputs, finalOutput FROM workflow_executions WHERE id=?", execution_id
    )
    assert [json.loads(text) for text in row[0]] == [{"a": empty}, wanted]
    rows = [row for row in running.logs(execution_id) if row["status"] == "completed"]
    assert json.loads(rows[0]["outputData"])["outputData"] == {"kept": empty}
