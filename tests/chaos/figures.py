"""How long things took: recovery, unavailability, cancels, starts; and the table that shows it."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from core.status import TERMINAL_EXECUTION
from database import events, workflow_executions
from store.engine import Database
from store.payloads import decode
from tests.chaos.observations import Deed, Observations

TAKE_OVER = {"execution.started", "execution.cancel_requested", "node.interrupted"}
"""Events that are no progress yet."""
PREFECT_AWAY = 10.0
"""Seconds after the death of a Prefect server in which starts are counted as without it."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Segment:
    """What one worker did with one execution: when, and its first progress."""

    pid: int
    begun: float
    first: float | None
    last: float
    ended: bool


@dataclass(frozen=True)
class Figures:
    """All lists are of seconds."""

    kinds: Counter[str]
    statuses: Counter[str]
    recovery: list[float]
    since_last: list[float]
    """The same, from the last kill or freeze of any worker before it went on."""
    thawed: list[float]
    unavailable: list[float]
    unavailable_since_last: list[float]
    cancels: list[float]
    starts: list[float]
    starts_without_prefect: list[float]
    refused: int

    def table(self) -> str:
        """Return the figures for people."""
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(self.kinds.items()))
        ends = ", ".join(f"{status} {number}" for status, number in sorted(self.statuses.items()))
        kills = sum(number for kind, number in self.kinds.items() if kind.startswith("kill"))
        return "\n".join(
            [
                f"kills                    {kills}; deeds: {kinds}",
                f"executions               {self.statuses.total()}: {ends}",
                f"malformed, refused       {self.refused}",
                f"{'seconds':24} {'n':>6} {'p50':>8} {'p99':>8} {'max':>8}",
                _line("recovery after a kill", self.recovery),
                _line("since the last kill", self.since_last),
                _line("recovery after a freeze", self.thawed),
                _line("API away after its kill", self.unavailable),
                _line("since its last kill", self.unavailable_since_last),
                _line("cancel", self.cancels),
                _line("accepted to claimed", self.starts),
                _line("the same, Prefect dead", self.starts_without_prefect),
            ]
        )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values are. Raises `IndexError` for none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _line(title: str, values: Sequence[float]) -> str:
    if not values:
        return f"{title:24} {0:>6}"
    shown = (percentile(values, 0.5), percentile(values, 0.99), max(values))
    return f"{title:24} {len(values):>6} " + " ".join(f"{value:>8.2f}" for value in shown)


async def measure(database: Database, seen: Observations) -> Figures:
    """Work the figures out, from the events and what was seen."""
    rows = await database.read(_executions)
    segments = await database.read(_segments)
    dead = [deed.at for deed in seen.deeds if deed.kind == "kill prefect"]
    begun = {
        name: (_seconds(rows[name]["createdAt"]), found[0].begun)
        for name, found in segments.items()
        if found
    }
    hits = [deed.at for deed in seen.deeds if deed.kind in ("kill worker", "freeze")]
    away = list(_unavailable(seen))
    kills = list(_recoveries(seen, segments, "kill worker"))
    starts = [(at, claimed - at) for at, claimed in begun.values()]
    return Figures(
        kinds=Counter(deed.kind for deed in seen.deeds),
        statuses=Counter(
            row["status"] + (" (crash loop)" if row["reason"] == "crash_loop" else "")
            for row in rows.values()
        ),
        recovery=[first - hit for hit, first in kills],
        since_last=[first - max(at for at in hits if at < first) for _, first in kills],
        thawed=[first - hit for hit, first in _recoveries(seen, segments, "freeze")],
        unavailable=[back - hit for hit, _, back in away],
        unavailable_since_last=[back - last for _, last, back in away],
        cancels=list(_cancels(seen, rows)),
        starts=[delay for _, delay in starts],
        starts_without_prefect=[
            delay for at, delay in starts if any(0 <= at - d < PREFECT_AWAY for d in dead)
        ],
        refused=seen.refused,
    )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _executions(connection: sa.Connection) -> dict[str, Row]:
    column = workflow_executions.c
    chosen = sa.select(
        column.id, column.status, column.reason, column.createdAt, column.completedAt
    )
    return {row.id: row._asdict() for row in connection.execute(chosen)}


def _segments(connection: sa.Connection) -> dict[str, list[Segment]]:
    """Return the segments of each execution, in order."""
    column = events.c
    chosen = sa.select(column.executionId, column.type, column.at, column.epoch, column.data)
    found: defaultdict[str, defaultdict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for row in connection.execute(chosen.order_by(column.executionId, column.seq)):
        found[row.executionId][row.epoch].append(row)
    return {
        name: [_segment(epochs[epoch]) for epoch in sorted(epochs) if epoch]
        for name, epochs in found.items()
    }


def _segment(rows: list[Any]) -> Segment:
    progress = [row for row in rows if row.type not in TAKE_OVER]
    started = next((row for row in rows if row.type == "execution.started"), None)
    owner = decode(started.data)["worker"] if started is not None else ":0"
    return Segment(
        pid=int(owner.rsplit(":", 1)[1]),
        begun=_seconds(rows[0].at),
        first=_seconds(progress[0].at) if progress else None,
        last=_seconds(rows[-1].at),
        ended=rows[-1].type in {f"execution.{status}" for status in TERMINAL_EXECUTION},
    )


def _recoveries(
    seen: Observations, segments: dict[str, list[Segment]], kind: str
) -> Iterator[tuple[float, float]]:
    """Yield when a worker was hit and when an execution that it held went on elsewhere."""
    hit: dict[int, Deed] = {deed.pid: deed for deed in seen.deeds if deed.kind == kind}
    for found in segments.values():
        for place, (held, following) in enumerate(pairwise(found)):
            deed = hit.get(held.pid)
            if deed is None or held.ended or not held.begun <= deed.at <= following.begun:
                continue
            later = (segment.first for segment in found[place + 1 :])
            first = next((at for at in later if at is not None), None)
            if first is not None:
                yield deed.at, first


def _unavailable(seen: Observations) -> Iterator[tuple[float, float, float]]:
    """Yield when the API was killed, when for the last time before it was back, and its return."""
    times = [at for at, _ in seen.probes]
    hits = [deed.at for deed in seen.deeds if deed.kind == "kill api"]
    for hit in hits:
        later = seen.probes[bisect_right(times, hit) :]
        back = next((at for at, healthy in later if healthy), None)
        if back is not None:
            yield hit, max(at for at in hits if at < back), back


def _cancels(seen: Observations, rows: dict[str, Row]) -> Iterator[float]:
    for execution_id, asked in seen.accepted.items():
        row = rows.get(execution_id)
        if asked.cancelled_at is not None and row is not None and row["status"] == "cancelled":
            yield max(0.0, _seconds(row["completedAt"]) - asked.cancelled_at)
