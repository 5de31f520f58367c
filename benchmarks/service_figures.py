"""What the whole service does, measured through HTTP and from its own timestamps."""

import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.http_load import Latencies, get, load, post
from tests.servers.service import Service, service

MODES = {
    "prefect": {"ORCHESTRATOR": "prefect", "PREFECT_TASK_RUNS": "all"},
    "effects": {"ORCHESTRATOR": "prefect", "PREFECT_TASK_RUNS": "effects"},
    "direct": {"ORCHESTRATOR": "direct"},
}


@dataclass(frozen=True, slots=True)
class RunFigures:
    """Milliseconds, but for `runs_per_second`. `lost` counts runs not completed or not shown."""

    first_node: float
    chain_10: float
    per_node: float
    runs_per_second: float
    chain_1000: float
    lost: int
    idle_megabytes: float


@dataclass(frozen=True, slots=True)
class ApiFigures:
    """Requests while the worker is busy (`submit`) and while it is not."""

    submit: Latencies
    poll_alone: Latencies
    poll: Latencies


def chain(length: int) -> dict[str, Any]:
    """Return a document of trivial nodes one behind the other."""
    nodes: list[dict[str, Any]] = [{"id": "n0", "type": "trigger", "config": {}}]
    nodes += [
        {
            "id": f"n{number}",
            "type": "addField",
            "config": {"fieldName": "count", "fieldValue": "{{ (count | default(0)) + 1 }}"},
        }
        for number in range(1, length)
    ]
    connections = [
        {"fromNodeId": f"n{number}", "toNodeId": f"n{number + 1}"} for number in range(length - 1)
    ]
    return {"nodes": nodes, "connections": connections}


def measure(mode: str, samples: int) -> tuple[RunFigures, ApiFigures | None]:
    """Start a service in a mode and measure it; the API once, since it is the same in all."""
    with (
        tempfile.TemporaryDirectory() as folder,
        service(Path(folder) / "data", None, **MODES[mode]) as running,
    ):
        idle = _megabytes(running)
        runs = _runs(running, samples, idle, shown=mode != "direct")
        return runs, asyncio.run(_api(running)) if mode == "direct" else None


def _runs(running: Service, samples: int, idle: float, *, shown: bool) -> RunFigures:
    ids = {length: running.save(chain(length), f"chain {length}") for length in (10, 40, 1000)}
    _one(running, ids[10])
    tens = [_one(running, ids[10]) for _ in range(samples)]
    forties = [_one(running, ids[40]) for _ in range(samples)]
    together, seconds = _together(running, ids[10], 32)
    long = _one(running, ids[1000])
    ten, forty = (statistics.median(map(running_time, some)) for some in (tens, forties))
    everything = [*tens, *forties, *together, long]
    return RunFigures(
        first_node=statistics.median(_first_node(running, seen) for seen in tens),
        chain_10=ten,
        per_node=(forty - ten) / 30,
        runs_per_second=len(together) / seconds,
        chain_1000=running_time(long),
        lost=sum(not _good(seen, shown=shown) for seen in everything),
        idle_megabytes=idle,
    )


def _good(seen: dict[str, Any], *, shown: bool) -> bool:
    return seen["status"] == "completed" and (seen["observability"] == "full" or not shown)


def _one(running: Service, workflow_id: str) -> dict[str, Any]:
    return running.wait(running.execute(workflow_id), seconds=120)


def _together(running: Service, workflow_id: str, many: int) -> tuple[list[dict[str, Any]], float]:
    """Start many at once; return their pictures and the seconds from first start to last end."""
    ids = [running.execute(workflow_id) for _ in range(many)]
    seen = [running.wait(one, seconds=180) for one in ids]
    first = min(moment(one["createdAt"]) for one in seen)
    last = max(moment(one["completedAt"]) for one in seen)
    return seen, last - first


def moment(text: str) -> float:
    """Return a timestamp in seconds."""
    return datetime.fromisoformat(text).timestamp()


def running_time(seen: dict[str, Any]) -> float:
    """Return the milliseconds from an execution's acceptance to its end."""
    return 1000 * (moment(seen["completedAt"]) - moment(seen["createdAt"]))


def _first_node(running: Service, seen: dict[str, Any]) -> float:
    query = 'SELECT at FROM cauce_events WHERE "executionId" = ? AND type = ? ORDER BY seq LIMIT 1'
    with closing(sqlite3.connect(running.data_dir / "cauce.db")) as connection:
        (at,) = connection.execute(query, (seen["executionId"], "node.started")).fetchone()
    return 1000 * (moment(at) - moment(seen["createdAt"]))


def _megabytes(running: Service) -> float:
    time.sleep(2)  # what the start needed is given back
    pids = [running.pid("api"), running.pid("worker-1")]
    return sum(psutil.Process(pid).memory_info().rss for pid in pids) / 2**20


async def _api(running: Service) -> ApiFigures:
    workflow_id = running.save(chain(10))
    body = json.dumps({"workflowId": workflow_id, "inputs": {}}).encode()
    start = post("/api/workflows/execute", body)
    submit = await load(running.api_port, lambda _: start, clients=16, each=40)
    done = running.execute(workflow_id)
    running.wait(done, seconds=120)
    poll = get(f"/api/executions/{done}")
    return ApiFigures(
        submit=submit,
        poll_alone=await load(running.api_port, lambda _: poll, clients=1, each=500),
        poll=await load(running.api_port, lambda _: poll, clients=16, each=200),
    )
