"""A client that costs little: HTTP/1.1 over kept connections. The load must not be the measure."""

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Request = Callable[[int], bytes]
"""Returns the bytes of the n-th request of a client."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds of single requests, and how many were answered per second."""

    p50: float
    p99: float
    per_second: float
    errors: int


def get(path: str) -> bytes:
    """Return a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """Return a POST request with a JSON body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def load(port: int, request: Request, clients: int, each: int) -> Latencies:
    """Send `each` requests from each of so many clients, one after the other per client."""
    begun = time.perf_counter()
    found = await asyncio.gather(*(_client(port, request, each) for _ in range(clients)))
    seconds = time.perf_counter() - begun
    times = sorted(1000 * taken for many, _ in found for taken in many)
    return Latencies(
        p50=statistics.median(times),
        p99=times[int(len(times) * 0.99)],
        per_second=len(times) / seconds,
        errors=sum(errors for _, errors in found),
    )


async def _client(port: int, request: Request, each: int) -> tuple[list[float], int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times, errors = [], 0
    for number in range(each):
        begun = time.perf_counter()
        writer.write(request(number))
        status, _ = await answer(reader)
        times.append(time.perf_counter() - begun)
        errors += status != 200
    writer.close()
    await writer.wait_closed()
    return times, errors


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one answer; return its status and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)
