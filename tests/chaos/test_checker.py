"""A checker that cannot fail proves nothing: planted violations, each of which it must name."""

import asyncio
import copy
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from config import Settings, get_settings
from core.graph import compile_document
from flows.circuit import Circuit
from flows.launch import Launcher
from flows.plans import Plans
from flows.segment import Worker
from flows.worker_loop import WorkerLoop
from store import schema, transitions, workflows
from store.engine import Database
from store.executions import Filter, count
from store.new_execution import NewExecution
from store.payloads import encode
from store.workflows import NewWorkflow
from tasks.load import load_node_types
from tasks.registry import Registry
from tasks.resources import Resources
from tests.chaos.checker import Violation, check
from tests.chaos.observations import Asked, Observations, Request
from tests.integration.graphs import Document, chain, field, http, node, value
from tests.servers.http_target import HttpTarget
from tests.until import until

pytestmark = pytest.mark.chaos
FIRST = "00000000000000a0"


@dataclass(frozen=True)
class Finished:
    """A database in which everything is as it must be, and what clients saw of it."""

    folder: Path
    seen: Observations

    def doctored(self, folder: Path, *statements: str) -> list[Violation]:
        """Return what the checker finds in a copy after these statements (`:id` is the first)."""
        return judged(self.copied(folder, *statements), self.seen)

    def copied(self, folder: Path, *statements: str) -> Path:
        shutil.copyfile(self.folder / "cauce.db", folder / "cauce.db")
        with closing(sqlite3.connect(folder / "cauce.db")) as connection, connection:
            for statement in statements:
                assert connection.execute(statement, {"id": FIRST}).rowcount, statement
        return folder


def judged(folder: Path, seen: Observations) -> list[Violation]:
    async def judge() -> list[Violation]:
        database = Database.open(Settings(data_dir=folder, _env_file=None))
        try:
            return await check(database, seen)
        finally:
            await database.close()

    return asyncio.run(judge())


def document(target: HttpTarget) -> Document:
    """Return a document with a request and a pure node that the reference can work out."""
    query = {"key": "{{ execution.id }}.n1.0"}
    return chain(
        value("n0", 3, "n"),
        http("n1", target.url("/json"), "POST", httpQuery=query),
        field("n2", "fn2", 41),
        node("end", "output"),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Three executions that a worker ran to their end."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HTTP_ALLOWED_HOSTS", "127.0.0.1")
        get_settings.cache_clear()
        seen = asyncio.run(_run(folder))
    get_settings.cache_clear()
    return Finished(folder, seen)


async def _run(folder: Path) -> Observations:
    settings = Settings(data_dir=folder, orchestrator="direct", poll_seconds=0.02, _env_file=None)
    database, registry, seen = Database.open(settings), load_node_types(), Observations()
    await schema.prepare(database)
    async with HttpTarget() as target:
        for number in range(3):
            await _accept(database, registry, document(target), f"{FIRST[:-1]}{number}", seen)
        async with Resources(settings) as resources:
            await _work(settings, database, registry, resources)
        for got in target.requests:
            key = got.headers["idempotency-key"]
            seen.requests.append(Request(got.parameter("key"), key, got.path))
    await database.close()
    return seen


async def _accept(
    database: Database, registry: Registry, given: Document, name: str, seen: Observations
) -> None:
    plan = compile_document(given, registry.catalogue()).plan
    assert plan is not None
    new = NewWorkflow(name="A workflow", data=encode(given).decode())
    row = await database.write(partial(workflows.create, new=new))
    execution = NewExecution(name, str(row["id"]), "A workflow", None, 1, tuple(plan.nodes))
    await database.write(partial(transitions.create, new=execution))
    seen.asked.append(Asked(f"key-{name}", str(row["id"]), {}, [name], 1.0, None, "completed"))


async def _work(
    settings: Settings, database: Database, registry: Registry, resources: Resources
) -> None:
    circuit = Circuit()
    plans = Plans(database, registry.catalogue(), lenient=False)
    launcher = Launcher(database, Worker(settings, resources, registry.types()), plans, circuit)
    loop = WorkerLoop(settings, database, launcher, circuit)
    task = asyncio.create_task(loop.run())

    async def all_ended() -> bool:
        done = Filter(statuses=("completed",))
        return await database.read(partial(count, wanted=done)) == 3

    await until(all_ended, "three completed executions")
    loop.drain()
    await task


def test_it_finds_nothing_where_nothing_is_wrong(finished: Finished) -> None:
    assert judged(finished.folder, finished.seen) == []
    assert len(finished.seen.requests) == 3


_EVENTS = "cauce_events WHERE executionId = :id"
_COLUMNS = "executionId, type, nodeId, at, epoch, data"
_ONE_MORE = f"INSERT INTO cauce_events ({_COLUMNS}, seq) SELECT {_COLUMNS}, seq + 1 FROM {_EVENTS}"
_COUNTED = "UPDATE workflow_executions SET seq = seq + 1 WHERE id = :id"
_WRONG = "replace({0}, '\"fn2\":41', '\"fn2\":42')"
PLANTED = {
    "a lost execution": ("I1", [
        "DELETE FROM workflow_executions WHERE id = :id",
    ]),
    "a missing event": ("I2-I9", [
        f"DELETE FROM {_EVENTS} AND seq = 3",
    ]),
    "two ends": ("I2-I9", [
        f"{_ONE_MORE} AND type = 'execution.completed'", _COUNTED,
    ]),
    "a start after the end": ("I2-I9", [
        f"{_ONE_MORE} AND type = 'execution.completed'", _COUNTED,
        ("UPDATE cauce_events SET type = 'node.started', nodeId = 'n2', "
        """data = '{"attempt": 2, "nodeType": "addField", "label": "N2"}' """
        "WHERE executionId = :id AND seq = (SELECT seq FROM workflow_executions WHERE id = :id)"),
    ]),
    "an event of an old epoch": ("I6", [
        "UPDATE cauce_events SET epoch = 7 WHERE executionId = :id AND seq = 2",
    ]),
    "epochs that went back": ("I6", [
        "UPDATE workflow_executions SET epoch = 0 WHERE id = :id",
    ]),
    "one that never ends": ("I2", [
        "UPDATE workflow_executions SET status = 'running', completedAt = NULL WHERE id = :id",
    ]),
    "running without a worker": ("I10", [
        "UPDATE workflow_executions SET status = 'running', completedAt = NULL WHERE id = :id",
    ]),
    "a lease without a worker": ("I10", [
        "UPDATE workflow_executions SET leaseOwner = 'worker-1@here:1' WHERE id = :id",
    ]),
    "another end than its events tell": ("I2-I9", [
        "UPDATE workflow_executions SET status = 'cancelled' WHERE id = :id",
    ]),
    "a second attempt without a reason": ("I2-I9", [
        ("UPDATE cauce_events SET data = replace(data, '\"attempt\":1', '\"attempt\":2') "
        "WHERE executionId = :id AND nodeId = 'n1'"),
        "UPDATE cauce_node_runs SET attempt = 2 WHERE executionId = :id AND nodeId = 'n1'",
    ]),
    "a result that its events do not tell": ("I2-I9", [
        "UPDATE workflow_executions SET finalOutput = '1' WHERE id = :id",
    ]),
    "a wrong result, told everywhere": ("I9", [
        f"UPDATE cauce_events SET data = {_WRONG.format('data')} WHERE executionId = :id",
        f"UPDATE cauce_node_runs SET output = {_WRONG.format('output')} WHERE executionId = :id",
        (f"UPDATE workflow_executions SET finalOutput = {_WRONG.format('finalOutput')} "
        "WHERE id = :id"),
    ]),
    "blamed too soon": ("I4", [
        "UPDATE workflow_executions SET reason = 'crash_loop' WHERE id = :id",
    ]),
}  # fmt: skip
"""What is planted: the rule that must be named, and how it is done."""


@pytest.mark.parametrize(("rule", "statements"), PLANTED.values(), ids=PLANTED)
def test_it_finds_what_was_planted_in_the_database(
    finished: Finished, tmp_path: Path, rule: str, statements: list[str]
) -> None:
    found = finished.doctored(tmp_path, *statements)
    assert rule in {violation.rule for violation in found}, found
    assert {violation.execution_id for violation in found} <= {FIRST, ""}


def _twice(seen: Observations) -> None:
    seen.requests.append(seen.requests[0])


def _never(seen: Observations) -> None:
    del seen.requests[0]


def _of_a_stranger(seen: Observations) -> None:
    seen.requests.append(Request("ffffffffffffffff.n1.0", None, "/json"))


def _with_another_key(seen: Observations) -> None:
    seen.requests[0] = replace(seen.requests[0], idempotency_key="something else")


def _two_ids(seen: Observations) -> None:
    seen.asked[0].ids.append(seen.asked[1].ids[0])


def _nobody_asked(seen: Observations) -> None:
    del seen.asked[0]


def _seen_otherwise(seen: Observations) -> None:
    seen.asked[0].seen = "failed"


def _complaint(seen: Observations) -> None:
    seen.complaints.append("500")


@pytest.mark.parametrize(
    ("rule", "plant"),
    [
        ("I8", _twice),
        ("I8", _never),
        ("I8", _of_a_stranger),
        ("I8", _with_another_key),
        ("I1", _two_ids),
        ("I1", _nobody_asked),
        ("I2", _seen_otherwise),
        ("API", _complaint),
    ],
)
def test_it_finds_what_clients_and_the_target_saw_otherwise(
    finished: Finished, rule: str, plant: Callable[[Observations], None]
) -> None:
    seen = copy.deepcopy(finished.seen)
    plant(seen)
    assert {violation.rule for violation in judged(finished.folder, seen)} == {rule}
