"""The service itself: alive, ready, documented; its faults, and what it never imports."""

import asyncio
import re
import sqlite3
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from api_service import create_app
from config import Settings
from store import engine, leases
from store.engine import Database
from store.leases import Heartbeat
from tests.api.conftest import problem
from tests.servers.api_server import GREETING, ApiServer, api_server

ROOT = Path(__file__).parents[2]


def beat(server: ApiServer, **facts: Any) -> None:
    """Give a sign of life as a worker does."""

    async def go() -> None:
        database = Database.open(server.settings)
        values = {"name": "w", "capacity": 4, "running": 0, "observability": "full", **facts}
        await database.write(partial(leases.beat, heartbeat=Heartbeat(**values)))
        await database.close()

    asyncio.run(go())


def test_it_says_what_it_is(client: httpx.Client) -> None:
    # R003-11: the dialect's client takes "running" for usable
    found = client.get("/").json()
    assert (found["service"], found["status"]) == ("Cauce", "running")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["timestamp"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert found["version"] == project["version"]
    assert client.get("/health").json() == {"status": "ok"}


def test_it_is_ready_once_a_worker_is(tmp_path: Path) -> None:
    with api_server(Settings(data_dir=tmp_path, _env_file=None)) as server:
        answer = server.client.get("/ready")
        found = problem(answer, 503, "not_ready")
        assert (found["ready"], found["missing"]) == (False, ["worker"])
        assert answer.headers["retry-after"] == "1"

        beat(server, observability="degraded")
        answer = server.client.get("/ready")
        assert answer.status_code == 200
        found = answer.json()
        assert (found["ready"], found["workers"], found["observability"]) == (True, 1, "degraded")

        beat(server, capacity=0)  # a worker that drains takes nothing
        assert server.client.get("/ready").status_code == 503
        beat(server)
        assert server.client.get("/ready").json()["observability"] == "full"
        server.sql('UPDATE cauce_workers SET "seenAt" = "seenAt" - 60000')
        assert server.client.get("/ready").status_code == 503


def test_a_database_that_is_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # B164, P7
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.2)
    with api_server(Settings(data_dir=tmp_path, _env_file=None)) as server:
        beat(server)
        workflow_id = server.save()
        execution_id = server.execute(workflow_id)
        other = sqlite3.connect(tmp_path / "cauce.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        start = {"workflowId": workflow_id}
        answer = server.client.post("/api/workflows/execute", json=start)
        problem(answer, 503, "storage_unavailable")
        assert 1 <= int(answer.headers["retry-after"]) <= 5
        answer = server.client.get("/ready")
        assert problem(answer, 503, "not_ready")["missing"] == ["database"]
        assert server.poll(execution_id)["status"] == "pending"
        other.rollback()
        other.close()
        assert server.client.post("/api/workflows/execute", json=start).status_code == 200


async def test_a_fault_of_ours_is_an_answer_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # S-51
    app = create_app(Settings(data_dir=tmp_path, _env_file=None))

    async def broken() -> None:
        raise ZeroDivisionError("a secret path /etc/shadow")

    app.add_api_route("/broken", broken)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/broken")
    problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_the_examples_of_the_documentation_work(tmp_path: Path) -> None:
    with api_server(Settings(data_dir=tmp_path, _env_file=None)) as server:
        paths = server.client.get("/openapi.json").json()["paths"]

        def pasted(path: str) -> Any:
            content = paths[path]["post"]["requestBody"]["content"]["application/json"]
            return server.client.post(path, json=content["example"])

        stored, checked = pasted("/api/workflows"), pasted("/api/workflows/validate")
        assert (stored.status_code, "warnings" in stored.json()) == (201, False)
        assert checked.json() == {"valid": True, "problems": [], "truncated": False}
        started = pasted("/api/workflows/execute")
        assert (started.status_code, "warnings" in started.json()) == (200, False)
        ran = pasted("/api/nodes/execute").json()
        example = paths["/api/nodes/execute"]["post"]["responses"]["200"]["content"]
        expected = example["application/json"]["example"]
        assert {key: ran[key] for key in expected if key != "message"} == {
            key: value for key, value in expected.items() if key != "message"
        }


def test_every_route_is_documented(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            problems = operation["responses"]["default"]["content"]
            assert list(problems) == ["application/problem+json"]


def test_the_page_of_the_api_needs_nothing_from_the_web(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "http" not in page.text
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(parts) == 3
    for part in parts:
        answer = client.get(part)
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] in {"text/css", "text/javascript"}
    assert "/openapi.json" in client.get("/docs/start.js").text
    assert client.get("/docs/other.js").status_code == 404


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": "", "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_api_never_imports_prefect() -> None:
    # R003-02
    code = "import api_service, sys; assert 'prefect' not in sys.modules"
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_a_wrong_setting_ends_the_process_with_a_sentence() -> None:
    done = python("import api_service", API_PORT="many")
    assert done.returncode == 1
    assert 'API_PORT: "many" is not a whole number' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_large_document_does_not_hold_others_up(server: ApiServer) -> None:
    # S-60, S-66: it is read in a thread
    nodes = [*GREETING["nodes"], *({"id": f"n{i}", "type": "comment"} for i in range(3000))]
    answer = server.client.post(
        "/api/workflows", json={"name": "Large", "data": {**GREETING, "nodes": nodes}}
    )
    assert answer.status_code == 201
    execution_id = server.execute(answer.json()["id"])
    assert server.poll(execution_id)["progress"]["totalNodes"] == 3
