"""The circuit breaker in front of Prefect, and the probe that works it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from flows import circuit as module
from flows.circuit import OPEN_SECONDS, Circuit, probed
from tests.until import until


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_is_closed_until_something_fails() -> None:
    circuit = Circuit(Clock())
    assert (circuit.closed, circuit.observability) == (True, "full")


@pytest.mark.parametrize(
    ("later", "closed"), [(0.0, False), (OPEN_SECONDS - 0.1, False), (OPEN_SECONDS, True)]
)
def test_a_failed_call_spares_the_server_for_a_while(later: float, closed: bool) -> None:
    # P5
    clock = Clock()
    circuit = Circuit(clock)
    circuit.failed()
    clock.now += later
    assert circuit.closed == closed
    assert circuit.observability == ("full" if closed else "degraded")


def test_a_call_that_went_through_closes_it() -> None:
    circuit = Circuit(Clock())
    circuit.failed()
    circuit.answered()
    assert circuit.closed


def test_a_probe_that_succeeds_does_not_forgive_a_call_that_failed() -> None:
    # a server can say that it is well and still refuse every flow run
    clock = Clock()
    circuit = Circuit(clock)
    circuit.failed()
    circuit.reachable(False)
    circuit.reachable(True)
    assert not circuit.closed
    clock.now += OPEN_SECONDS
    assert circuit.closed


def test_while_the_server_cannot_be_reached_time_does_not_help() -> None:
    clock = Clock()
    circuit = Circuit(clock)
    circuit.reachable(False)
    circuit.answered()
    clock.now += 10 * OPEN_SECONDS
    assert (circuit.closed, circuit.observability) == (False, "degraded")


async def test_whoever_waits_learns_that_the_server_is_gone() -> None:
    circuit = Circuit(Clock())
    waiting = asyncio.create_task(circuit.opened())
    circuit.failed()
    await asyncio.sleep(0)
    assert not waiting.done(), "the server may be well: only this call failed"
    circuit.reachable(False)
    await asyncio.wait_for(waiting, 1)
    await asyncio.wait_for(circuit.opened(), 1)
    circuit.reachable(True)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(circuit.opened(), 0.01)


class Server:
    """A tiny HTTP server that answers every request with `status`, or hangs up."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.asked: list[str] = []
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[str]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{self.port}/api"
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split(b"\r\n")[0].decode())
        if self.status is not None:
            answer = f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            writer.write(answer.encode())
        with suppress(ConnectionError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probe often enough for a test."""
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.01)


async def becomes(circuit: Circuit, *, closed: bool) -> None:
    async def look() -> bool:
        return circuit.closed is closed

    await until(look, f"the circuit to be {'closed' if closed else 'open'}", 5)


async def test_the_probe_follows_the_server() -> None:
    # P5: down, ill, and back
    circuit, server = Circuit(), Server()
    async with server.listening() as url, probed(circuit, url):
        assert circuit.closed, "the first answer is there before anything starts"
        for status in (500, None, 404):
            server.status = status
            await becomes(circuit, closed=False)
            server.status = 200
            await becomes(circuit, closed=True)
    assert set(server.asked) == {"GET /api/health HTTP/1.1"}


async def test_a_server_that_comes_later_is_found() -> None:
    circuit, server = Circuit(), Server()
    async with server.listening() as url:
        pass
    async with probed(circuit, url):
        assert not circuit.closed, "known before the first execution, which need not wait"
        async with server.listening():
            await becomes(circuit, closed=True)
        await becomes(circuit, closed=False)


async def test_no_probe_is_left_behind() -> None:
    before = asyncio.all_tasks()
    async with Server().listening() as url, probed(Circuit(), url):
        assert [task.get_name() for task in asyncio.all_tasks() - before].count("prefect-probe")
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "prefect-probe"]
