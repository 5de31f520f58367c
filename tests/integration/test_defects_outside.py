"""What was wrong with what surrounds a graph: restarts, cancels, retries, requests, reading."""

import re
import time

import pytest

from tests.integration.graphs import chain, field, http, node, value
from tests.integration.prefect_picture import PrefectPicture
from tests.servers.http_target import HttpTarget
from tests.servers.service import Service

RETRY = {"attempts": 3, "delay": 0.05, "jitter": 0}
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


# P2
def test_02_a_killed_worker_loses_no_execution(running: Service, target: HttpTarget) -> None:
    slow = target.url("/slow?seconds=60&times=1&key=defect-2")
    document = chain(value("first", 1), http("slow", slow), field("last", "done", True))
    execution_id = running.execute(running.save(document))
    running.until(lambda: target.count("defect-2") == 1, "the request")
    running.kill("worker-1")
    seen = running.wait(execution_id, 20)
    kinds = [(kind, name) for kind, name, _ in running.events(execution_id)]
    assert (seen["status"], seen["progress"]["percentage"]) == ("completed", 100)
    assert kinds.count(("node.interrupted", "slow")) == 1
    assert kinds.count(("node.started", "first")) == 1


# P19
def test_05_a_cancel_cuts_off_the_node_in_progress_for_good(
    running: Service, target: HttpTarget
) -> None:
    url = target.url("/slow?seconds=30&key=defect-5")
    document = chain(value("a", 1), http("hangs", url, retry=5), http("after", f"{url}-after"))
    execution_id = running.execute(running.save(document))
    running.until(lambda: target.count("defect-5") == 1, "the request")
    asked, before = time.monotonic(), target.open_connections
    answer = running.cancel(execution_id)
    seen = running.wait(execution_id)
    assert time.monotonic() - asked <= 2
    running.until(lambda: target.open_connections < before, "the end of the connection", 2)
    assert (answer["success"], answer["previousStatus"]) == (True, "running")
    assert (seen["status"], seen["error"]) == ("cancelled", None)
    assert UTC.fullmatch(seen["completedAt"])
    again = running.cancel(execution_id)
    assert (again["success"], again["previousStatus"]) == (False, "cancelled")
    assert again["message"] == "Cannot cancel execution with status 'cancelled'"
    running.run(chain(value("b", 2)))  # the worker goes on, and the end stays as it was
    assert running.poll(execution_id) == seen
    assert (target.count("defect-5"), target.count("defect-5-after")) == (1, 0)


# R003-37, C16
def test_11_each_attempt_is_one_task_run_and_retries_happen(
    running: Service, target: HttpTarget
) -> None:
    flaky = target.url("/flaky?times=2&key=defect-11")
    document = chain(value("a", 1), http("flaky", flaky, retry=RETRY), node("out", "output"))
    seen = running.run(document)
    picture = PrefectPicture(running)
    shown = picture.task_runs(picture.flow_run(seen["executionId"]), 5)
    assert (seen["status"], target.count("defect-11")) == ("completed", 3)
    assert [(run["name"], run["state_type"]) for run in shown] == [
        ("A", "COMPLETED"),
        ("Flaky", "FAILED"),
        ("Flaky (attempt 2)", "FAILED"),
        ("Flaky (attempt 3)", "COMPLETED"),
        ("Out", "COMPLETED"),
    ]


# P12
def test_12_only_requests_that_may_be_repeated_are(running: Service, target: HttpTarget) -> None:
    for method, times in (("GET", 3), ("POST", 1)):
        key = f"defect-12-{method}"
        url = target.url(f"/status/503?key={key}")
        seen = running.run(chain(value("a", 1), http("b", url, method)))
        assert (method, seen["status"], target.count(key)) == (method, "failed", times)


def test_12_an_error_shows_what_the_other_side_said(running: Service, target: HttpTarget) -> None:
    url = target.url("/status/422?body=the-order-has-no-lines")
    seen = running.run(chain(value("a", 1), http("b", url)))
    assert "422" in seen["error"]
    failed = next(row for row in running.logs(seen["executionId"]) if row["status"] == "error")
    assert "the-order-has-no-lines" in (failed["error"] + (failed["outputData"] or ""))


# P12
@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/", "loopback", "http://[::1]:1/"])
def test_12_addresses_that_are_not_opened_are_blocked(
    running: Service, target: HttpTarget, url: str
) -> None:
    url = f"http://127.0.0.1:{running.api_port}/" if url == "loopback" else url
    literal = {"name": "Plain", "data": chain(value("a", 1), http("b", url))}
    refused = running.client.post("/api/workflows", json=literal)
    assert [problem["code"] for problem in refused.json()["errors"]] == ["url_blocked"]
    for hidden in ("{{ url }}", target.url(f"/redirect/302?to={url}")):
        seen = running.run(chain(value("a", url, "url"), http("b", hidden)))
        failed = [data for kind, _, data in running.events(seen["executionId"]) if "error" in data]
        assert seen["status"] == "failed"
        assert failed[0]["error"]["code"] == "ssrf_blocked"


# R003-33, S-33
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_12_no_other_site_may_read_or_write(running: Service, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answers = [
        running.client.get("/", headers={"Origin": origin}),
        running.client.options("/api/workflows/execute", headers=asked),
        running.client.post("/api/workflows/execute", headers={"Origin": origin}, json={}),
    ]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answers[2].status_code == 403


# S-09
def test_13_there_is_no_node_that_runs_code_in_our_process(running: Service) -> None:
    code = node("code", "python", pythonCode="def process(data): return data")
    body = {"name": "Code", "data": chain(value("a", 1), code)}
    answer = running.client.post("/api/workflows", json=body)
    assert answer.status_code == 422
    problem = answer.json()["errors"][0]
    assert (problem["code"], problem["pointer"]) == ("node_type_unknown", "/data/nodes/1/type")


# R003-08, R003-10
def test_14_a_poll_reads_ten_rows_whatever_there_is(running: Service) -> None:
    big = "x" * 60_000
    fields = [field(f"n{i}", "n", i) for i in range(60)]
    document = chain(value("a", big), *fields, field("out", "input", ""))
    execution_id = running.execute(running.save(document))
    seen = running.wait(execution_id, 60)
    everything = running.client.get(f"/api/executions/{execution_id}/logs").content
    began = time.perf_counter()
    answers = [running.client.get(f"/api/executions/{execution_id}") for _ in range(10)]
    each = (time.perf_counter() - began) / len(answers)
    assert seen["status"] == "completed"
    assert [row["nodeId"] for row in seen["logs"]][-1] == "out"
    assert (len(seen["logs"]), len(everything) > 6_000_000) == (10, True)
    assert all(len(answer.content) < 700_000 for answer in answers)
    assert each < 0.05
