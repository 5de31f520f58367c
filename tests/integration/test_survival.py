"""Each process killed while work is under way: what was accepted ends, once, and soon."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.conftest import Audit, Figure
from tests.integration.graphs import chain, field, http, node, patient, value
from tests.servers.http_target import HttpTarget, refusing_url
from tests.servers.service import Service, service

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def direct(tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own, without Prefect."""
    with service(tmp_path, ORCHESTRATOR="direct") as started:
        yield started


def answers(started: Service) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return started.client.get("/").status_code == 200
    return False


# P1, R003-06, R003-36
def test_a_killed_api_is_back_soon_and_its_executions_go_on(
    direct: Service, target: HttpTarget, audit: Audit, record_property: Figure
) -> None:
    execution_id = direct.execute(direct.save(patient(target, "api")))
    direct.until(lambda: target.count("api") == 1, "the request")
    worker = direct.pid("worker-1")
    direct.kill("api")
    killed = time.monotonic()
    direct.until(lambda: answers(direct), "the API")
    back = time.monotonic() - killed
    seen = direct.wait(execution_id)
    record_property("seconds until the API answers again", round(back, 2))
    assert back <= 5
    assert (seen["status"], direct.pid("worker-1")) == ("completed", worker)
    assert [target.count(f"api{end}") for end in ("-before", "", "-after")] == [1, 1, 1]
    audit(direct, [execution_id])


# P2, R003-39
def test_a_worker_killed_inside_a_node_is_replaced_and_the_node_tried_again(
    direct: Service, target: HttpTarget, audit: Audit, record_property: Figure
) -> None:
    execution_id = direct.execute(direct.save(patient(target, "worker", 60)))
    direct.until(lambda: target.count("worker") == 1, "the request")
    direct.kill("worker-1")
    killed = time.monotonic()
    direct.until(lambda: target.count("worker") == 2, "the second attempt")
    record_property("seconds until the node runs again", round(time.monotonic() - killed, 2))
    seen = direct.wait(execution_id)
    took = time.monotonic() - killed
    requests = [made for made in target.requests if made.key == "worker"]
    keys = {made.headers["idempotency-key"] for made in requests}
    told = [(kind, data.get("attempt")) for kind, name, data in direct.events(execution_id)
            if name == "slow"]  # fmt: skip
    assert seen["status"] == "completed"
    assert told == [
        *[("node.started", 1), ("node.interrupted", 1)],
        *[("node.started", 2), ("node.completed", 2)],
    ]
    assert keys == {f"{execution_id}.slow.0"}
    assert [target.count(f"worker{end}") for end in ("-before", "", "-after")] == [1, 2, 1]
    assert took <= 6
    audit(direct, [execution_id])


# P5, R003-01
def test_without_any_prefect_executions_run_all_the_same(
    tmp_path: Path, target: HttpTarget, audit: Audit
) -> None:
    with service(tmp_path, PREFECT_API_URL=refusing_url("/api")) as started:
        asked = time.monotonic()
        seen = started.run(
            chain(value("a", 1), http("b", target.url("/json")), node("c", "output"))
        )
        assert (seen["status"], seen["observability"]) == ("completed", "degraded")
        assert seen["finalOutput"] == {"ok": True}
        assert time.monotonic() - asked <= 5
        audit(started, [seen["executionId"]])


# Defect 2, P2, R003-42
def test_the_death_of_everything_loses_no_execution(
    tmp_path: Path, target: HttpTarget, audit: Audit
) -> None:
    url = target.url("/slow?seconds=60&times=1&key=all")
    with service(tmp_path, ORCHESTRATOR="direct") as started:
        ended = started.run(chain(value("a", 1)))
        cut_off = started.execute(started.save(chain(value("a", 2), http("b", url))))
        started.until(lambda: target.count("all") == 1, "the request")
        started.crash()
    with service(tmp_path, ORCHESTRATOR="direct") as again:
        assert again.poll(ended["executionId"]) == ended
        assert again.wait(cut_off, 20)["finalOutput"] == {"ok": True}
        audit(again, [ended["executionId"], cut_off])


# R003-42, P20
def test_ctrl_c_and_a_new_start_lose_nothing_and_do_nothing_twice(
    tmp_path: Path, target: HttpTarget, audit: Audit, record_property: Figure
) -> None:
    with service(tmp_path, ORCHESTRATOR="direct") as started:
        family = psutil.Process(started.process.pid).children(recursive=True)
        workflow_id = started.save(patient(target, "restart", 30))
        cut_off = started.execute(workflow_id)
        started.until(lambda: target.count("restart") == 1, "the request")
        queued = [started.execute(started.save(chain(value("a", i)))) for i in range(5)]
        took = started.stop()
    record_property("seconds of a stop inside a node", round(took, 2))
    assert took <= 10.5
    assert [member for member in family if member.is_running()] == []
    assert list((tmp_path / "run").glob("*.pid")) == []
    assert started.process.returncode == 0
    assert "did not stop in time" not in started.log.read_text("utf-8")
    assert started.sql(
        "SELECT leaseOwner, interruptions FROM workflow_executions WHERE id=?", cut_off
    ) == [(None, 0)]
    with service(tmp_path, ORCHESTRATOR="direct") as again:
        seen = [again.wait(one) for one in (cut_off, *queued)]
        assert {one["status"] for one in seen} == {"completed"}
        assert [target.count(f"restart{end}") for end in ("-before", "", "-after")] == [1, 2, 1]
        assert again.client.get(f"/api/workflows/{workflow_id}/executions").json()["total"] == 1
        audit(again, [cut_off, *queued])


# R003-35
def test_two_workers_share_the_work(tmp_path: Path, target: HttpTarget, audit: Audit) -> None:
    with service(tmp_path, ORCHESTRATOR="direct", WORKERS="2", WORKER_CONCURRENCY="8") as started:
        started.until(
            lambda: started.client.get("/ready").json()["workers"] == 2, "the second worker"
        )
        url = target.url("/slow?seconds=0.05&key=shared")
        workflow_id = started.save(chain(value("a", 1), http("b", url), field("c", "x", 1)))
        ids = [started.execute(workflow_id) for _ in range(60)]
        assert {started.wait(one)["status"] for one in ids} == {"completed"}
        events = "SELECT data FROM cauce_events WHERE type = 'execution.started'"
        claimed = Counter(
            row[0].split('"worker":"')[1].split("@")[0] for row in started.sql(events)
        )
        assert set(claimed) == {"worker-1", "worker-2"}
        assert claimed.total() == target.count("shared") == 60
        audit(started, ids)
