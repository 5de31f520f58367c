"""Prefect killed while work is under way: nobody waits for it, and its picture comes back."""

import os
import subprocess
import sys
import time
from pathlib import Path

from supervision.parent import SUPERVISED
from supervision.ports import free_port
from tests.integration.conftest import Audit, Figure
from tests.integration.graphs import chain, node, patient, value
from tests.servers.http_target import HttpTarget
from tests.servers.service import ROOT, Service


# P5
def test_prefect_may_die_and_come_back(
    running: Service, target: HttpTarget, audit: Audit, record_property: Figure
) -> None:
    workflow_id = running.save(chain(value("a", 1), node("b", "output")))
    before = running.execute(running.save(patient(target, "prefect")))
    running.until(lambda: target.count("prefect") == 1, "the request")
    running.kill("prefect")
    killed = time.monotonic()
    during = running.execute(workflow_id)
    seen = running.wait(during)
    took = time.monotonic() - killed
    record_property("seconds of an execution without Prefect", round(took, 2))
    assert (seen["status"], seen["observability"]) == ("completed", "degraded")
    assert took <= 5
    assert running.wait(before)["status"] == "completed"
    assert target.count("prefect") == 1

    def shown() -> str | None:
        found = running.wait(running.execute(workflow_id))
        return found["executionId"] if found["observability"] == "full" else None

    after = running.until(shown, "an execution that Prefect shows", 60)
    record_property("seconds until Prefect shows again", round(time.monotonic() - killed, 2))
    audit(running, [before, during, str(after)])


# F13, P20
def test_a_prefect_server_ends_with_its_supervisor(tmp_path: Path) -> None:
    ours = {"DATA_DIR": str(tmp_path), "PREFECT_PORT": str(free_port()), SUPERVISED: "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "flows.prefect_server"],
        cwd=ROOT,
        env=os.environ | ours,
        stdin=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.close()  # as the end of a supervisor does, whatever ended it
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()
