"""The chaos run: a service of its own, a load on it, and everything that can happen to it.

`python -m tests.chaos.run --minutes 5 --seed 7 --database postgresql --orchestrator prefect`

Prints a table and ends with 1 if anything was lost, done twice or left undone. What is then needed
to look into it is kept, in the folder that it names.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from config import Settings
from core.status import TERMINAL_EXECUTION
from store.engine import Database
from store.executions import Filter, count
from supervision.ports import free_port
from tests.chaos.checker import Violation, check
from tests.chaos.figures import Figures, measure
from tests.chaos.graphs import Places
from tests.chaos.guard import Guard, guard
from tests.chaos.nemesis import Nemesis, Victims
from tests.chaos.observations import Observations, Request
from tests.chaos.workload import Workload
from tests.servers.http_target import refusing_url
from tests.servers.postgres import PostgresServer, find_binaries, postgres_server
from tests.servers.service import Service, service

ROOT = Path(__file__).parents[2]
QUIET_SECONDS = 90.0
"""How long after the last deed everything accepted may take to end."""
OPEN = tuple(
    status for status in ("pending", "running", "paused") if status not in TERMINAL_EXECUTION
)
SHOWN = 20


@dataclass(frozen=True)
class Plan:
    """What to run. `rate` is starts a second, `gap` seconds between deeds."""

    folder: Path
    seconds: float
    seed: int
    database: str = "sqlite"
    workers: int = 2
    orchestrator: str = "direct"
    rate: float = 4.0
    gap: tuple[float, float] = (1.0, 3.0)
    most: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of it. `quiet` is the seconds until all had ended, after the last deed."""

    figures: Figures
    violations: list[Violation]
    seen: Observations
    quiet: float
    load: float


def storm(plan: Plan) -> Outcome:
    """Run a service through the storm, wait until all is quiet, stop it, and check."""
    seen = Observations()
    with ExitStack() as stack:
        guarding = stack.enter_context(guard())
        postgres = _postgres(stack, guarding) if plan.database == "postgresql" else None
        target = stack.enter_context(_target(guarding))
        settings = {"ORCHESTRATOR": plan.orchestrator, "WORKERS": str(plan.workers)}
        if postgres is not None:
            settings["DATABASE_URL"] = postgres.url()
        guarding.watch_file(plan.folder / "run" / "supervisor.lock")
        started = stack.enter_context(service(plan.folder, None, **settings))
        load, quiet = asyncio.run(_storm(plan, started, postgres, target, seen))
        started.stop()
        seen.requests = _requests(target)
        seen.save(plan.folder / "observations.json")
        figures, violations = asyncio.run(_judge(plan, postgres, seen))
        if violations and postgres is not None:
            _dump(postgres, plan.folder / "database.sql")
    return Outcome(figures, violations, seen, quiet, load)


def _postgres(stack: ExitStack, guarding: Guard) -> PostgresServer:
    binaries = find_binaries()
    if binaries is None:
        sys.exit("PostgreSQL's server programs were not found.")
    server = stack.enter_context(postgres_server(binaries))
    guarding.watch_file(server.data / "postmaster.pid")
    return server


@contextmanager
def _target(guarding: Guard) -> Iterator[str]:
    """Run the HTTP target as a process and yield its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.http_target", "--port", str(port)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    guarding.watch(process.pid)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
    finally:
        process.kill()
        process.communicate()


async def _storm(
    plan: Plan,
    started: Service,
    postgres: PostgresServer | None,
    target: str,
    seen: Observations,
) -> tuple[float, float]:
    """Return the load average of the machine and the seconds until all was quiet."""
    nobody = refusing_url("/")
    workload = Workload(
        f"http://127.0.0.1:{started.api_port}", plan.seed, Places(target, nobody), seen
    )
    nemesis = Nemesis(Victims(started, plan.workers, postgres), plan.seed, seen, plan.gap)
    loading = asyncio.create_task(workload.run(plan.seconds, plan.rate, plan.most))
    await nemesis.run(plan.seconds)
    load, last = os.getloadavg()[0], time.monotonic()
    await loading
    database = _open(plan, postgres)
    try:
        while (  # noqa: ASYNC110 - another process
            await _unfinished(database) and time.monotonic() - last < QUIET_SECONDS
        ):
            await asyncio.sleep(0.2)
    finally:
        await database.close()
    return load, time.monotonic() - last


async def _unfinished(database: Database) -> int:
    return await database.read(lambda connection: count(connection, Filter(statuses=OPEN)))


def _open(plan: Plan, postgres: PostgresServer | None) -> Database:
    url = None if postgres is None else SecretStr(postgres.url())
    return Database.open(Settings(_env_file=None, data_dir=plan.folder, database_url=url))


async def _judge(
    plan: Plan, postgres: PostgresServer | None, seen: Observations
) -> tuple[Figures, list[Violation]]:
    database = _open(plan, postgres)
    try:
        return await measure(database, seen), await check(database, seen)
    finally:
        await database.close()


def _requests(target: str) -> list[Request]:
    told = httpx.get(f"{target}/_seen", timeout=60, trust_env=False).json()["requests"]
    return [_request(one) for one in told]


def _request(told: dict[str, Any]) -> Request:
    target = httpx.URL(told["target"])
    return Request(target.params["key"], told["headers"].get("idempotency-key"), target.path)


def _dump(postgres: PostgresServer, file: Path) -> None:
    with suppress(OSError, subprocess.SubprocessError):
        command = [str(postgres.binaries / "pg_dump"), "-d", postgres.url(), "-f", str(file)]
        subprocess.run(command, check=True, timeout=120, stdin=subprocess.DEVNULL)


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./start.sh chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--orchestrator", choices=("direct", "prefect"), default="direct")
    parser.add_argument("--rate", type=float, default=4.0, help="starts a second")
    parser.add_argument("--gap", type=float, nargs=2, default=(1.0, 3.0), help="between deeds")
    parser.add_argument("--keep", type=Path, help="folder for database, logs and observations")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    """Run and print; return the exit code."""
    given = _arguments(words)
    folder = given.keep or Path(tempfile.mkdtemp(prefix="cauce-chaos-"))
    plan = Plan(
        folder=folder.resolve(),
        seconds=given.minutes * 60,
        seed=given.seed,
        database=given.database,
        workers=given.workers,
        orchestrator=given.orchestrator,
        rate=given.rate,
        gap=tuple(given.gap),
    )
    outcome = storm(plan)
    _print(plan, outcome)
    if not outcome.violations and given.keep is None:
        shutil.rmtree(folder)
    return 1 if outcome.violations else 0


def _print(plan: Plan, outcome: Outcome) -> None:
    say = sys.stdout.write
    say(f"seed {plan.seed}, {plan.database}, {plan.orchestrator}, {plan.workers} workers, ")
    say(f"{plan.seconds / 60:g} minutes; load average {outcome.load:.1f}, ")
    say(f"quiet after {outcome.quiet:.1f} s\n{outcome.figures.table()}\n")
    for violation in outcome.violations[:SHOWN]:
        say(f"{violation}\n")
    rules = sorted({violation.rule for violation in outcome.violations})
    say(f"violations               {len(outcome.violations)} {' '.join(rules)}\n")
    if outcome.violations:
        say(f"Database, logs and observations: {plan.folder}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
