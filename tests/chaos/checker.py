"""What must hold after a chaos run, read straight from the database.

The numbers are those of the invariants: I1 nothing accepted is lost · I2 one end · I3 dense numbers
· I4 starts and results · I5 inputs first · I6 epochs never go back · I7 nothing after the end ·
I8 requests at the target · I9 replay and reference · I10 no lease, no `running` left.
"""

import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa

from core.catalogue import Catalogue, no_problems
from core.graph import compile_document
from core.plan import Plan
from core.status import TERMINAL_EXECUTION, IllegalMove
from database import events, execution_logs, node_runs, workflow_executions, workflow_versions
from store.engine import Database
from store.payloads import decode
from tasks.load import load_node_types
from tests.chaos.expected import differences
from tests.chaos.observations import Observations, Request
from tests.invariants import check_execution

Row = dict[str, Any]
MAX_INTERRUPTIONS = 3
"""So often a worker may die with an execution before the execution is blamed."""


@dataclass(frozen=True)
class Violation:
    """Something that must not be. `events` are those of the execution, one text each."""

    rule: str
    execution_id: str
    message: str
    events: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return "\n    ".join([f"{self.rule} {self.execution_id}: {self.message}", *self.events])


async def check(database: Database, seen: Observations) -> list[Violation]:
    """Return every violation in a database that no worker writes to any more."""
    rows = {row["id"]: row for row in await database.read(partial(_all, workflow_executions))}
    found = [*_asked(seen, rows), *_strangers(seen, rows)]
    found += [Violation("I8", "", problem) for problem in await database.read(_orphans)]
    found += [Violation("API", "", complaint) for complaint in seen.complaints]
    requests: dict[str, list[Request]] = {}
    for request in seen.requests:
        requests.setdefault(request.key.split(".")[0], []).append(request)
    unknown = requests.keys() - rows.keys()
    found += [Violation("I8", one, "requests of no stored execution") for one in sorted(unknown)]
    catalogue = _catalogue()
    for execution_id, row in rows.items():
        one = _Execution(database, row, catalogue, requests.get(execution_id, []))
        found += await one.violations()
    return found


def _catalogue() -> Catalogue:
    """The service's node types. Their configuration was checked under the service's settings."""
    found = load_node_types().catalogue()
    return {name: replace(spec, check_config=no_problems) for name, spec in found.items()}


def _all(table: sa.Table, connection: sa.Connection) -> list[Row]:
    return [row._asdict() for row in connection.execute(sa.select(table))]


def _asked(seen: Observations, rows: Mapping[str, Row]) -> Iterator[Violation]:
    """I1, and what clients were told stays true."""
    for asked in seen.asked:
        if len(set(asked.ids)) > 1:
            yield Violation("I1", asked.ids[0], f"{asked.key} was given two ids: {asked.ids}")
        for execution_id in set(asked.ids):
            row = rows.get(execution_id)
            if row is None:
                yield Violation("I1", execution_id, f"{asked.key} was accepted and is lost")
            elif asked.seen is not None and row["status"] != asked.seen:
                message = f"a client saw {asked.seen}, now it is {row['status']}"
                yield Violation("I2", execution_id, message)


def _strangers(seen: Observations, rows: Mapping[str, Row]) -> Iterator[Violation]:
    """I1 the other way: one execution for each start, no more."""
    unanswered = sum(not asked.ids for asked in seen.asked)
    strangers = rows.keys() - seen.accepted.keys()
    if len(strangers) > unanswered:
        yield Violation("I1", "", f"executions that nobody started: {sorted(strangers)}")


def _orphans(connection: sa.Connection) -> list[str]:
    """Rows of no execution, and a damaged file."""
    problems = []
    for table in (events, execution_logs, node_runs):
        stored = sa.select(workflow_executions.c.id)
        lost = sa.select(table.c.executionId).where(table.c.executionId.not_in(stored)).distinct()
        problems += [f"{table.name} of no execution: {one}" for one in connection.scalars(lost)]
    if connection.dialect.name == "sqlite":
        told = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one()
        problems += [] if told == "ok" else [f"integrity_check: {told}"]
    return problems


@dataclass(frozen=True)
class _Execution:
    database: Database
    row: Row
    catalogue: Catalogue
    requests: list[Request]

    async def violations(self) -> list[Violation]:
        """Return what is wrong with one execution, with its events."""
        history = await self.database.read(partial(_history, execution_id=self.row["id"]))
        told = tuple(_shown(event) for event in history)
        problems = [*self._left_over(), *self._epochs(history), *self._effects(history)]
        problems += self._crash_loop(history)
        problems += await self._invariants()
        return [Violation(rule, self.row["id"], text, told) for rule, text in problems]

    def _left_over(self) -> Iterator[tuple[str, str]]:
        row = self.row
        ended = row["status"] in TERMINAL_EXECUTION
        if not ended:
            yield "I2", f"it has not ended: {row['status']}, claimAt {row['claimAt']}"
        if row["status"] == "running" and row["leaseOwner"] is None:
            yield "I10", "running, and nobody holds it"
        if ended and (row["leaseOwner"], row["claimAt"]) != (None, None):
            yield "I10", f"it has ended and {row['leaseOwner']} holds it"

    def _epochs(self, history: list[Row]) -> Iterator[tuple[str, str]]:
        epochs = [event["epoch"] for event in history]
        if epochs != sorted(epochs):
            yield "I6", f"an event of an old epoch: {epochs}"
        begun = [event["epoch"] for event in history if event["type"] == "execution.started"]
        if len(set(begun)) != len(begun):
            yield "I6", f"two segments with one epoch: {begun}"
        if epochs and epochs[-1] > self.row["epoch"]:
            yield "I6", f"epoch {self.row['epoch']} is older than its events"

    def _effects(self, history: list[Row]) -> Iterator[tuple[str, str]]:
        """I8: a request for each attempt at most, each with its key; one for each result."""
        counts = Counter((event["nodeId"], event["type"]) for event in history)
        sent = Counter(request.key.split(".")[1] for request in self.requests)
        for node, requests in sent.items():
            started = counts[node, "node.started"]
            again = counts[node, "node.interrupted"] + counts[node, "node.retrying"]
            if requests > min(started, 1 + again):
                yield "I8", f"{requests} requests of {node}: {started} starts, {again} again"
        for request in self.requests:
            given = request.idempotency_key
            if given is not None and unquote(given) != request.key:
                yield "I8", f"the Idempotency-Key of {request.key} was {given}"
        for event in history:
            if event["type"] == "node.started" and event["data"]["nodeType"] == "http":
                node = event["nodeId"]
                if counts[node, "node.completed"] and not sent[node]:
                    yield "I8", f"{node} has a result and sent no request"

    def _crash_loop(self, history: list[Row]) -> Iterator[tuple[str, str]]:
        begun = sum(event["type"] == "execution.started" for event in history)
        if self.row["reason"] == "crash_loop" and begun <= MAX_INTERRUPTIONS:
            yield "I4", f"blamed for a crash loop after {begun} segments"

    async def _invariants(self) -> list[tuple[str, str]]:
        """I2 to I9 of one execution by itself, then against the reference interpreter."""
        if self.row["status"] not in TERMINAL_EXECUTION:
            return []
        try:
            state = await check_execution(self.database, self.row["id"], self.catalogue)
        except (AssertionError, IllegalMove, KeyError, LookupError) as error:
            return [("I2-I9", _place(error))]
        document = await self.database.read(partial(_document, row=self.row))
        plan = _plan(document, self.catalogue)
        if plan is None:
            return [("I1", "an invalid document was accepted")]
        inputs = decode(self.row["inputs"] or "{}")
        result = decode(self.row["finalOutput"] or "null")
        return [("I9", text) for text in differences(plan, state, inputs, result)]


def _history(connection: sa.Connection, execution_id: str) -> list[Row]:
    chosen = sa.select(events).where(events.c.executionId == execution_id).order_by(events.c.seq)
    rows = [row._asdict() for row in connection.execute(chosen)]
    return [{**row, "data": decode(row["data"])} for row in rows]


def _shown(event: Row) -> str:
    data = str(event["data"])
    return (
        f"{event['seq']:4} {event['at']} epoch {event['epoch']} {event['type']} "
        f"{event['nodeId'] or ''} {data if len(data) < 200 else data[:200] + '…'}"
    )


def _place(error: BaseException) -> str:
    """Say which check failed: outside pytest an assertion has few words of its own."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {last.name}: {last.line} {error}"


def _document(connection: sa.Connection, row: Row) -> str:
    versions = workflow_versions.c
    chosen = sa.select(versions.data).where(
        versions.workflowId == row["workflowId"], versions.version == row["versionNumber"]
    )
    return str(connection.execute(chosen).scalar_one())


def _plan(document: str, catalogue: Catalogue) -> Plan | None:
    return compile_document(decode(document), catalogue).plan
