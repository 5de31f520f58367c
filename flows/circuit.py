"""Whether Prefect answers: a circuit breaker, so that nobody waits for a server that is down."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from time import monotonic

import httpx

OPEN_SECONDS = 10.0
"""How long calls are spared after one failed though the server says that it is well."""
PROBE_SECONDS = 1.0
"""How often the server is asked whether it is well."""
PROBE_TIMEOUT = 4.0
"""How long its answer may take: a busy server is not a dead one."""
log = logging.getLogger("cauce.prefect")


class Circuit:
    """Closed while Prefect answers; open while it cannot be reached, or failed just now."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._open_until = 0.0
        self._reachable = True
        self._answered = False
        self._opened = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether a call may be tried."""
        return self._reachable and self._clock() >= self._open_until

    @property
    def observability(self) -> str:
        """The word for executions: `full`, or `degraded` while Prefect shows nothing of them."""
        return "full" if self.closed else "degraded"

    async def opened(self) -> None:
        """Return when the server cannot be reached."""
        await self._opened.wait()

    def failed(self) -> None:
        """A call failed: spare the server for a while."""
        self._open_until = self._clock() + OPEN_SECONDS

    def answered(self) -> None:
        """A call went through."""
        self._open_until = 0.0

    def reachable(self, answer: bool) -> None:
        """Note what a probe found."""
        self._answered = self._answered or answer
        if answer == self._reachable:
            return
        self._reachable = answer
        if answer:
            self._opened.clear()
            log.info("Prefect answers: executions are shown there")
        else:
            self._opened.set()
            level = logging.WARNING if self._answered else logging.DEBUG  # it may just be starting
            log.log(level, "Prefect cannot be reached: executions run without being shown there")


@asynccontextmanager
async def probed(circuit: Circuit, api_url: str) -> AsyncGenerator[None]:
    """Keep asking the server at `api_url` whether it is well, for the time of a `with` block."""
    async with httpx.AsyncClient(timeout=PROBE_TIMEOUT, trust_env=False) as client:
        await _probe(circuit, client, api_url)
        task = asyncio.create_task(_keep_probing(circuit, client, api_url), name="prefect-probe")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _keep_probing(circuit: Circuit, client: httpx.AsyncClient, api_url: str) -> None:
    while True:
        await asyncio.sleep(PROBE_SECONDS)
        await _probe(circuit, client, api_url)


async def _probe(circuit: Circuit, client: httpx.AsyncClient, api_url: str) -> None:
    try:
        answer = await client.get(f"{api_url}/health")
    except (httpx.HTTPError, OSError):
        circuit.reachable(False)
    else:
        circuit.reachable(answer.is_success)
