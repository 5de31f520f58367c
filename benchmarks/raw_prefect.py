"""Plain Prefect flows and tasks, on Prefect's stock server and on ours: what Prefect itself costs.

`python -m benchmarks.raw_prefect [--json] [--long] [--samples N]` starts both servers on free
ports in temporary folders, one after the other, and prints a table. All on loopback.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from config import Settings
from flows.prefect_settings import client_environment, prefect_api_url, prefect_origins
from tests.servers.prefect_server import free_port

ROOT = Path(__file__).parents[1]
START_SECONDS = 90.0
COLUMNS = {
    "chain_10_p50": "10-node chain, p50, ms",
    "per_node": "per node, ms",
    "runs_per_second": "runs/s at once",
    "runs_failed": "failed",
    "cpu_per_run": "client CPU a run, ms",
    "chain_1000": "1,000-node chain, ms",
}
Figures = dict[str, Any]


def stock_environment(settings: Settings) -> dict[str, str]:
    """Return the variables of an untuned Prefect, kept to its own folder and off the network."""
    home = settings.data_dir / "stock"
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_API_URL": f"{prefect_origins(settings)[0]}/api",
        "PREFECT_HOME": str(home),
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home}/prefect.db",
    }


def inherited() -> dict[str, str]:
    """Return the environment of this process without anything that Prefect would read."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}


@contextmanager
def served(command: Sequence[str], environment: Mapping[str, str], health: str) -> Iterator[None]:
    """Run a server until the block ends. Raises `TimeoutError` when it does not answer."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(environment), stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _wait(health)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def stock_server(settings: Settings) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment of `prefect server start`."""
    port = str(settings.prefect_port)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    return [*command, "--port", port], {**inherited(), **stock_environment(settings)}


def tuned_server(settings: Settings) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment of our own embedded server."""
    environment = {
        **inherited(),
        "DATA_DIR": str(settings.data_dir),
        "PREFECT_PORT": str(settings.prefect_port),
        "PREFECT_SERVER_UI_ENABLED": "false",
    }
    return [sys.executable, "-m", "flows.prefect_server"], environment


def client_figures(environment: Mapping[str, str], options: Sequence[str]) -> Figures:
    """Return what `benchmarks.raw_prefect_client` measured in a child process."""
    command = [sys.executable, "-m", "benchmarks.raw_prefect_client", *options]
    done = subprocess.run(command, cwd=ROOT, env=dict(environment), capture_output=True, check=True)
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(options: Sequence[str]) -> dict[str, Figures]:
    """Return the figures of each pair of server and client, by name."""
    rows: dict[str, Figures] = {}
    for name, server in (("stock server", stock_server), ("tuned server", tuned_server)):
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(
                data_dir=Path(folder), prefect_port=free_port(), prefect_api_url=None
            )
            with served(*server(settings), f"{prefect_api_url(settings)}/health"):
                naive = {**inherited(), **stock_environment(settings)}
                # Prefect's own patience: the stock server answers 503 even to one run at a time.
                held = naive | client_environment(settings) | {"PREFECT_CLIENT_MAX_RETRIES": "5"}
                rows[f"{name}, naive client"] = client_figures(naive, options)
                rows[f"{name}, client held open"] = client_figures(held, [*options, "--held"])
    return rows


def table(rows: Mapping[str, Figures]) -> Table:
    """Return the figures as a table."""
    shown = Table("raw Prefect", *COLUMNS.values())
    for name, figures in rows.items():
        shown.add_row(name, *(_cell(figures[column]) for column in COLUMNS))
    return shown


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _wait(health: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(health):
        if time.monotonic() > deadline:
            raise TimeoutError(f"No server answers at {health}.")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).is_success
    except httpx.TransportError:
        return False


def main() -> None:
    """Measure all and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--long", action="store_true", help="run a 1,000-node chain as well")
    parser.add_argument("--samples", default="10", help="10-node chains to time, one by one")
    parser.add_argument("--at-once", default="32", help="runs to start together")
    chosen = parser.parse_args()
    options = ["--samples", chosen.samples, "--at-once", chosen.at_once]
    rows = compare([*options, "--long"] if chosen.long else options)
    if chosen.json:
        print(json.dumps(rows, indent=2))
    else:
        Console().print(table(rows))


if __name__ == "__main__":
    main()
