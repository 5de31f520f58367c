"""What we rely on in Prefect, tried on the real thing: a change fails here before an upgrade."""

import asyncio
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pytest
import websockets

from config import Settings
from flows.prefect_settings import client_environment, prefect_origins, server_environment
from tests.servers.prefect_server import (
    ROOT,
    PrefectServer,
    free_port,
    prefect_server,
    stop,
)

# A first start creates the database, and importing Prefect takes seconds on a busy machine.
pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("prefect")]

ALL = Settings(prefect_port=4200, prefect_api_url=None)
Facts = dict[str, Any]


@pytest.fixture(scope="module")
def proxy() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, proxy: socket.socket
) -> Iterator[PrefectServer]:
    address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    extra = {"HTTP_PROXY": address, "HTTPS_PROXY": address, "ALL_PROXY": address}
    with prefect_server(tmp_path_factory.mktemp("prefect"), extra) as running:
        yield running


@pytest.fixture(scope="module")
def facts(server: PrefectServer) -> Facts:
    printed = server.run_client(["-m", "tests.integration.prefect_contract_client"], 120)
    found: Facts = json.loads(printed.splitlines()[-1])
    return found


@pytest.fixture
def api(server: PrefectServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.api_url, trust_env=False) as client:
        yield client


def until(reads: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    pause, rounds = threading.Event(), int(seconds / 0.05)
    for _ in range(rounds):
        if found := reads():
            return found
        pause.wait(0.05)
    raise AssertionError(f"never came: {what}")


# F13
def test_prefect_and_fastapi_are_of_the_versions_that_work_together(facts: Facts) -> None:
    prefect, fastapi = facts["versions"]
    assert prefect.startswith("3.8.")
    assert tuple(int(part) for part in fastapi.split(".")[:2]) < (0, 155)


# F13
@pytest.mark.parametrize(
    "name", sorted({*server_environment(ALL), *client_environment(ALL)} - {"DO_NOT_TRACK"})
)
def test_every_variable_that_we_set_is_a_setting_of_prefect(facts: Facts, name: str) -> None:
    assert name in facts["settings"]


# F13: Prefect reads PREFECT_EVENTS, for one, as a whole group of settings, and fails to import
def test_no_setting_of_ours_is_taken_for_one_of_prefect(facts: Facts) -> None:
    groups = {
        "_".join(name.split("_")[:length])
        for name in facts["settings"]
        for length in range(2, name.count("_") + 2)
    }
    ours = {name.upper() for name in Settings.model_fields if name.startswith("prefect_")}
    assert ours & groups == {"PREFECT_API_URL"}


# F13
def test_every_transaction_begins_immediate(facts: Facts) -> None:
    assert facts["begin"][0] == "BEGIN IMMEDIATE"
    assert facts["configuration"] == "ImmediateSqlite"


# F13
def test_sixteen_runs_at_once_all_complete(facts: Facts) -> None:
    assert facts["sixteen"] == ["COMPLETED"] * 16


# F13
def test_sixteen_runs_created_at_once_meet_no_503(api: httpx.Client) -> None:
    flow_id = api.post("/flows/", json={"name": "burst"}).json()["id"]

    async def create() -> list[int]:
        async with httpx.AsyncClient(base_url=api.base_url, trust_env=False, timeout=30) as client:
            body = {"flow_id": flow_id, "state": {"type": "PENDING"}}
            answers = await asyncio.gather(
                *(client.post("/flow_runs/", json=body) for _ in range(16))
            )
            return [answer.status_code for answer in answers]

    assert asyncio.run(create()) == [201] * 16


# F13
def test_hooks_get_flow_run_and_state_and_may_fail_unnoticed(facts: Facts) -> None:
    assert facts["hooks"] == [
        ["Flow", "FlowRun", "State"],
        ["task", "node-a", "Completed"],
        ["task", "node-b", "Completed"],
        ["task", "node-c", "Completed"],
        ["flow", "execution-exec_1", "Completed"],
    ]


# F13
def test_names_and_dependencies_show_on_the_server(facts: Facts, api: httpx.Client) -> None:
    assert api.get(f"/flow_runs/{facts['joined']}").json()["name"] == "execution-exec_1"
    body = {"flow_runs": {"id": {"any_": [facts["joined"]]}}}

    def completed() -> dict[str, Any]:
        runs = api.post("/task_runs/filter", json=body).json()
        found = {run["name"]: run for run in runs if run["state_type"] == "COMPLETED"}
        return found if len(found) == 3 else {}

    runs = until(completed, "three completed task runs")
    upstream = {source["id"] for source in runs["node-c"]["task_inputs"]["wait_for"]}
    assert upstream == {runs["node-a"]["id"], runs["node-b"]["id"]}


# F13
def test_a_cancelled_flow_that_says_so_is_cancelled(facts: Facts, api: httpx.Client) -> None:
    run = api.get(f"/flow_runs/{facts['cancelled']}").json()
    assert run["state_type"] == "CANCELLED"


# F13, S-09: this is why nothing but ids goes to Prefect
def test_parameters_are_hydrated_and_ids_are_not(facts: Facts) -> None:
    assert facts["hydrated"] == {"reference": "secret", "execution_id": "exec_1"}


# F13
def test_a_flow_outside_the_main_thread_leaves_signals_alone(facts: Facts) -> None:
    assert facts["handler"] == facts["handler_before"]
    assert facts["handler_on_main"] != facts["handler_before"]


# F13
def test_nothing_is_written_to_the_home_directory(facts: Facts, server: PrefectServer) -> None:
    assert facts
    assert list(server.home.iterdir()) == []
    assert (server.data_dir / "prefect.db").is_file()
    assert not (server.data_dir / "prefect" / "prefect.db").exists()


# F13, S-71
def test_no_result_is_stored(facts: Facts, server: PrefectServer) -> None:
    assert facts
    assert not (server.data_dir / "prefect" / "storage").exists()
    with sqlite3.connect(f"file:{server.data_dir}/prefect.db?mode=ro", uri=True) as database:
        kinds = database.execute("SELECT DISTINCT data FROM flow_run_state").fetchall()
    assert not [data for (data,) in kinds if data and "pickle" in str(data)]


# F13
def test_the_server_calls_nobody(
    facts: Facts, server: PrefectServer, api: httpx.Client, proxy: socket.socket
) -> None:
    assert facts
    assert api.get("/admin/settings").json()["server"]["analytics_enabled"] is False
    assert api.get("/collections/views/aggregate-worker-metadata").json()
    with pytest.raises(BlockingIOError):
        proxy.accept()
    peers = {link.raddr.ip for link in _links(server) if link.raddr}
    assert peers <= {"127.0.0.1"}


# F13
def test_the_server_listens_on_loopback_only(server: PrefectServer) -> None:
    listening = {link.laddr.ip for link in _links(server) if link.status == "LISTEN"}
    assert listening == {"127.0.0.1"}


def _links(server: PrefectServer) -> list[Any]:
    return list(psutil.Process(server.process.pid).net_connections("inet"))


# S-33, S-34
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Host": "evil.example"},
    ],
)
def test_other_sites_are_turned_away(api: httpx.Client, headers: dict[str, str]) -> None:
    answer = api.post("/flows/", json={"name": "forged"}, headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


# S-33
def test_its_own_pages_are_served(api: httpx.Client, server: PrefectServer) -> None:
    for origin in prefect_origins(server.settings):
        answer = api.post("/flows/", json={"name": "own"}, headers={"Origin": origin})
        assert answer.is_success
        assert answer.headers["access-control-allow-origin"] == origin
        assert "connect-src" in answer.headers["content-security-policy"]


# S-34
async def test_a_web_socket_from_another_site_is_refused(server: PrefectServer) -> None:
    url = server.api_url.replace("http://", "ws://") + "/events/in"
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(url, origin=websockets.Origin("http://evil.example"), proxy=None)
    assert refused.value.response.status_code == 403


# F13, P20
def test_a_server_that_is_still_starting_ends_cleanly(server: PrefectServer) -> None:
    target = server.data_dir / "early"
    environment = server.client_environment() | {
        "DATA_DIR": str(target),
        "PREFECT_PORT": str(free_port()),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.prefect_server"], cwd=ROOT, env=environment
    )
    until((target / "prefect.db").exists, "the first page of the database", 60)
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 0


# F13, P5, P20
def test_an_older_database_or_none_is_taken_as_it_is(server: PrefectServer) -> None:
    source, target = server.data_dir / "prefect.db", server.data_dir / "again"
    target.mkdir()
    with sqlite3.connect(source) as old, sqlite3.connect(target / "prefect.db") as copy:
        copy.execute("PRAGMA journal_mode = WAL")
        old.backup(copy)
    with prefect_server(target) as again:
        found = httpx.post(f"{again.api_url}/flows/filter", json={}, trust_env=False)
        assert found.status_code == 200
        assert stop(again.process, 5) == 0
