"""The `http` node against targets that stall, break off, flood and lie."""

import asyncio
import socket
import time
import tracemalloc
import zlib
from typing import Any

import httpx
import psutil
import pytest

from tasks.http_response import Inflater
from tests.servers.http_target import HttpTarget, refusing_url
from tests.unit.http_runner import http_runner, until


@pytest.mark.parametrize(
    ("path", "code"),
    [
        # P12, S-16
        ("/reset", "http_connect"),
        ("/cut", "http_protocol"),
        ("/short", "http_protocol"),
        ("/bad-chunks", "http_protocol"),
        ("/endless-headers", "http_protocol"),
        ("/status/101", "http_protocol"),
        ("/slow?seconds=30", "http_timeout"),
        ("/drip?interval=0.05", "http_timeout"),
        ("/informational", "http_timeout"),
        ("/answer?header=Content-Encoding:gzip&body=not+gzip", "http_protocol"),
        ("/answer?header=Content-Encoding:gzip&body=%1F%8B%08%00%00%00%00%00", "http_protocol"),
        ("/answer?header=Content-Encoding:br&body=x", "http_protocol"),
        ("/answer?header=Content-Encoding:gzip,gzip&body=x", "http_protocol"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_faults_are_told_apart(path: str, code: str, method: str) -> None:
    async with HttpTarget() as target, http_runner() as node:
        failure = await node.failed(target.url(path), httpTimeout=0.25, httpMethod=method)
    assert failure.code == code
    if "Content-Encoding" not in path and "101" not in path:
        assert failure.retryable == (method == "GET")


async def test_a_port_that_refuses_may_be_tried_again_by_every_method() -> None:
    # P12
    async with http_runner() as node:
        for method in ("GET", "POST"):
            failure = await node.failed(refusing_url(), httpMethod=method)
            assert (failure.code, failure.retryable) == ("http_connect", True)


async def test_a_name_that_nobody_knows() -> None:
    # S-15, P12
    async with http_runner() as node:
        failure = await node.failed("http://nowhere.example/")
    assert (failure.code, failure.retryable) == ("http_connect", True)


async def test_tls_with_a_server_that_speaks_none() -> None:
    async with HttpTarget() as target, http_runner() as node:
        failure = await node.failed(target.url().replace("http:", "https:"), httpTimeout=2)
    assert failure.code == "http_connect"


@pytest.mark.parametrize("path", ["/slow?seconds=30", "/drip?interval=0.2", "/hops/9"])
async def test_one_deadline_covers_it_all(path: str) -> None:
    # P12
    async with HttpTarget() as target, http_runner(http_timeout=0.5) as node:
        url = (
            target.url(path)
            if "hops" not in path
            else target.url("/redirect/302?to=/slow%3Fseconds=30")
        )
        started = time.monotonic()
        failure = await node.failed(url)
        assert 0.45 < time.monotonic() - started < 1.5
        assert failure.code == "http_timeout"
        assert "0.5 seconds" in failure.message


async def test_a_silent_listener_meets_the_deadline() -> None:
    # P12: the connection is accepted by the system, and nobody answers
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with http_runner() as node:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            for place in (url, url.replace("http:", "https:")):
                failure = await node.failed(place, httpTimeout=0.3)
                assert failure.code == "http_timeout"


async def test_a_cancelled_node_leaves_nothing_behind() -> None:
    # P12
    async with HttpTarget() as target, http_runner() as node:
        running = asyncio.create_task(node.completed(target.url("/drip")))
        await until(lambda: target.count("/drip") == 1, "the request came in")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await until(lambda: target.open_connections == 0, "the connection is closed")


async def test_no_fault_leaks_a_connection() -> None:
    # P12
    paths = ("/reset", "/cut", "/short", "/bad-chunks", "/slow?seconds=30", "/drip", "/stream")
    process = psutil.Process()
    async with HttpTarget() as target:
        async with http_runner(http_max_bytes=1024) as node:
            before = process.num_fds()
            await asyncio.gather(
                *(node.failed(target.url(path), httpTimeout=0.3) for path in paths * 4)
            )
            await until(lambda: target.open_connections == 0, "every connection is closed")
            # A fault that leaks does so each of the four times; the process may open one itself.
            assert process.num_fds() - before < 4
            assert (await node.completed(target.url())).output == {"ok": True}
        await until(lambda: target.open_connections == 0, "the idle connection is closed")


@pytest.mark.parametrize(
    "path",
    ["/stream?bytes=10000000000", "/bomb/gzip?bytes=4294967296", "/bomb/deflate?bytes=9999999999"],
)
async def test_a_flood_stops_at_the_cap(path: str) -> None:
    # S-16
    cap = 4 * 2**20
    async with HttpTarget() as target, http_runner(http_max_bytes=cap) as node:
        await node.completed(target.url())
        tracemalloc.start()
        try:
            failure = await node.failed(target.url(path))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        await until(lambda: target.open_connections == 0, "the connection is closed")
    assert (failure.code, failure.retryable) == ("http_too_large", False)
    assert "HTTP_MAX_BYTES" in failure.message
    assert peak < cap + 10 * 2**20


@pytest.mark.parametrize("path", ["/stream", "/bomb/gzip", "/bomb/deflate"])
@pytest.mark.parametrize("over", [0, 1])
async def test_the_cap_is_exact(path: str, over: int) -> None:
    # S-16
    size = 3 * 2**20 + 5
    async with HttpTarget() as target, http_runner(http_max_bytes=size) as node:
        url = target.url(f"{path}?bytes={size + over}")
        if over:
            assert (await node.failed(url)).code == "http_too_large"
        else:
            assert len((await node.completed(url)).output["response"]) == size


def inflated(coding: str, data: bytes, step: int) -> tuple[bytes, bool]:
    inflater = Inflater(coding)
    parts = [data[n : n + step] for n in range(0, len(data), step)]
    return b"".join(piece for part in parts for piece in inflater.feed(part)), inflater.is_complete


def packed(data: bytes, window: int) -> bytes:
    pack = zlib.compressobj(wbits=window)
    return pack.compress(data) + pack.flush()


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("coding", "data", "plain", "complete"),
    [
        ("", b"plain", b"plain", True),
        ("gzip", packed(b"hello" * 99, 31), b"hello" * 99, True),
        ("gzip", packed(b"one", 31) + packed(b"two", 31), b"onetwo", True),
        ("gzip", packed(b"one", 31) + bytes(9), b"one", True),
        ("gzip", packed(b"one", 31)[:-1], b"one", False),
        ("gzip", packed(b"one", 31) + packed(b"two", 31)[:-2], b"onetwo", False),
        ("deflate", packed(b"hello", 15), b"hello", True),
        ("deflate", packed(b"hello", -15), b"hello", True),
        ("deflate", packed(b"hello", 15) + b"more", b"hello", True),
        ("deflate", packed(b"hello" * 99, 15)[:-4], b"hello" * 99, False),
        ("gzip", packed(bytes(5_000_000), 31), bytes(5_000_000), True),
    ],
)
def test_content_codings(coding: str, data: bytes, plain: bytes, complete: bool, step: int) -> None:
    assert inflated(coding, data, step) == (plain, complete)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_flaky_target_answers_in_the_end(times: int) -> None:
    # P12
    async with HttpTarget() as target, http_runner() as node:
        outcomes: list[Any] = [
            await node.outcome({"httpUrl": target.url(f"/flaky?times={times}")})
            for _ in range(times + 1)
        ]
    assert [outcome.retryable for outcome in outcomes[:-1]] == [True] * times
    assert outcomes[-1].output == {"ok": True}


async def test_the_target_tells_other_processes_what_it_saw() -> None:
    async with HttpTarget() as target, httpx.AsyncClient() as client:
        await client.post(target.url("/echo?key=k"), content=b"body")
        seen = (await client.get(target.url("/_seen"))).json()
    assert seen["counts"] == {"k": 1}
    assert (seen["requests"][0]["method"], seen["requests"][0]["body"]) == ("POST", "body")
    assert target.count("k") == 1
