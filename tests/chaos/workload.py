"""Clients that start, poll and cancel executions, and do not give up when an answer is missing."""

import asyncio
import time
from collections.abc import Coroutine
from random import Random
from typing import Any

import httpx

from tests.chaos.graphs import Places, broken_document, random_document
from tests.chaos.observations import Asked, Observations

BROKEN = 0.05
"""Share of the documents that are malformed."""
NEW_DOCUMENT = 0.3
CANCELLED = 0.08
POLLED = 0.3
DOUBLE = 0.05
"""Share of the starts that a client sends twice at the same time."""
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 30.0
FINAL = frozenset({"completed", "failed", "cancelled"})
_WAITS = (429, 503)


class GaveUp(Exception):
    """The service did not answer in all the time that a client has."""


class Workload:
    """A seeded stream of starts at `rate` a second, over `clients` connections at once."""

    def __init__(self, url: str, seed: int, places: Places, seen: Observations) -> None:
        self._chance = Random(f"load {seed}")
        self._seed = seed
        self._places = places
        self._seen = seen
        self._workflows: list[str] = []
        self._made = 0
        self._background: set[asyncio.Task[None]] = set()
        limits = httpx.Limits(max_connections=40, max_keepalive_connections=20)
        self._client = httpx.AsyncClient(base_url=url, timeout=10, trust_env=False, limits=limits)

    async def run(self, seconds: float, rate: float, most: int | None = None) -> None:
        """Start executions for so many seconds, at most `most`; return once all are answered."""
        async with self._client:
            prober = asyncio.create_task(self._probe())
            end = time.monotonic() + seconds
            while time.monotonic() < end and (most is None or len(self._seen.asked) < most):
                self._spawn(self._one())
                await asyncio.sleep(self._chance.expovariate(rate))
            while self._background:
                await asyncio.gather(*self._background, return_exceptions=True)
            prober.cancel()
            await asyncio.gather(prober, return_exceptions=True)

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(job))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _guarded(self, job: Coroutine[Any, Any, None]) -> None:
        try:
            await job
        except GaveUp as error:
            self._seen.complaints.append(str(error))

    async def _one(self) -> None:
        chance = self._chance
        if not self._workflows or chance.random() < NEW_DOCUMENT:
            await self._store(broken=chance.random() < BROKEN / NEW_DOCUMENT)
        if not self._workflows:
            return
        inputs = {"n0": chance.randint(0, 10)} if chance.random() < 0.5 else {}
        key = f"chaos-{self._seed}-{len(self._seen.asked)}"
        asked = Asked(key, chance.choice(self._workflows), inputs)
        self._seen.asked.append(asked)
        twice, cancels, polls = (chance.random() < share for share in (DOUBLE, CANCELLED, POLLED))
        delay = chance.choice([0, 0.05, 0.3, 1.0, 2.0])
        await asyncio.gather(*(self._start(asked) for _ in range(2 if twice else 1)))
        if cancels:
            await asyncio.sleep(delay)
            await self._cancel(asked)
        elif polls:
            await self._poll(asked)

    async def _store(self, *, broken: bool) -> None:
        """Store a document under a name of our own, so that asking again is safe."""
        self._made += 1
        name = f"w-{self._seed}-{self._made}"
        make = broken_document if broken else random_document
        body = {"id": name, "name": name, "data": make(self._chance, self._places)}
        answer = await self._insist("POST", "/api/workflows", body)
        if broken:
            self._seen.refused += answer.status_code in (400, 422)
            self._expect(answer, {400, 422}, f"the malformed document {body['data']}")
        elif self._expect(answer, {201, 409}, f"the document {body['data']}"):
            self._workflows.append(name)

    async def _start(self, asked: Asked) -> None:
        body = {"workflowId": asked.workflow_id, "inputs": asked.inputs}
        headers = {"Idempotency-Key": asked.key}
        answer = await self._insist("POST", "/api/workflows/execute", body, headers)
        if self._expect(answer, {200, 201, 202}, f"the start {asked.key}"):
            asked.accepted_at = asked.accepted_at or time.time()
            asked.ids.append(answer.json()["executionId"])

    async def _cancel(self, asked: Asked) -> None:
        if not asked.ids:
            return
        answer = await self._insist("POST", f"/api/executions/{asked.ids[0]}/cancel", {})
        if self._expect(answer, {200, 202, 409}, f"the cancel of {asked.ids[0]}") and (
            answer.json().get("success")
        ):
            asked.cancelled_at = time.time()

    async def _poll(self, asked: Asked) -> None:
        settled, end = 0, time.monotonic() + POLL_SECONDS
        while asked.ids and time.monotonic() < end:
            answer = await self._insist("GET", f"/api/executions/{asked.ids[0]}")
            if not self._expect(answer, {200}, f"a poll of {asked.ids[0]}"):
                return
            shown = answer.json()
            percentage = shown["progress"]["percentage"]
            if percentage < settled:
                self._seen.complaints.append(f"{asked.ids[0]} went back to {percentage} %")
            settled = percentage
            if shown["status"] in FINAL:
                asked.seen = shown["status"]
                return
            await asyncio.sleep(0.25)

    def _expect(self, answer: httpx.Response, wanted: set[int], what: str) -> bool:
        if answer.status_code in wanted:
            return True
        self._seen.complaints.append(f"{answer.status_code} for {what}: {answer.text[:500]}")
        return False

    async def _insist(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Ask until there is an answer other than "not now"."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                answer = await self._client.request(method, path, json=body, headers=headers)
            except httpx.HTTPError:
                await asyncio.sleep(0.1)
                continue
            if answer.status_code not in _WAITS:
                return answer
            await asyncio.sleep(min(0.5, float(answer.headers.get("retry-after", "0.5"))))
        raise GaveUp(f"no answer to {method} {path} in {PATIENCE_SECONDS} s")

    async def _probe(self) -> None:
        """Ask for the API's health again and again."""
        while True:
            at = time.time()
            try:
                healthy = (await self._client.get("/health", timeout=1)).status_code == 200
            except httpx.HTTPError:
                healthy = False
            self._seen.probes.append((at, healthy))
            await asyncio.sleep(0.05)
