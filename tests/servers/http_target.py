"""An HTTP server for tests that answers well or badly, as the path of the request says.

In a test:

    async with HttpTarget() as target:
        await client.get(target.url("/status/503"))
        assert target.count("/status/503") == 1
        assert target.requests[0].headers["host"] == target.host

As a process: `python -m tests.servers.http_target --port N` (0, the default, takes a free port).
It prints its URL on a line of its own and stops on SIGTERM. `GET /_seen` there answers with
`{"counts": {key: n}, "requests": [...], "open": n}` and is not recorded itself.

Requests are counted by their `key` parameter, or by their path if they have none. The paths and
their parameters are listed in `tests.servers.http_behaviours`.
"""

import argparse
import asyncio
import socket
import ssl
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from tests.servers.http_behaviours import BEHAVIOURS, Received, json_answer, parse_request


class HttpTarget:
    """A server on 127.0.0.1; it runs from entering to leaving the context."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self.requests: list[Received] = []
        self.connections = 0
        """Connections accepted so far."""
        self._tls = tls
        self._counts: Counter[str] = Counter()
        self._open: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    @property
    def host(self) -> str:
        """Address and port, as in a `Host` header."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/json") -> str:
        """Return the URL of a path."""
        return f"{'https' if self._tls else 'http'}://{self.host}{path}"

    def count(self, key: str) -> int:
        """Return how many requests had this `key` parameter, or this path."""
        return self._counts[key]

    @property
    def open_connections(self) -> int:
        """Connections that neither side has closed yet."""
        return len(self._open)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls, limit=2**20
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections += 1
        self._open.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._answer(reader, writer):
                    pass
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; tell whether the connection may carry another."""
        request = await parse_request(reader, time.monotonic())
        if request.path == "/_seen":
            await json_answer(writer, self.seen())
            return True
        self.requests.append(request)
        self._counts[request.key] += 1
        name = request.path.split("/")[1]
        behave = BEHAVIOURS.get(name, BEHAVIOURS["missing"])
        answer = asyncio.ensure_future(behave(request, writer, self._counts[request.key]))
        try:
            while not answer.done() and not reader.at_eof() and reader.exception() is None:
                await asyncio.wait({answer}, timeout=0.02)
            return answer.done() and answer.result()
        finally:
            answer.cancel()

    def seen(self) -> dict[str, Any]:
        """Return what was recorded, as JSON."""
        requests = [{**asdict(r), "body": r.body.decode(errors="replace")} for r in self.requests]
        return {"counts": dict(self._counts), "requests": requests, "open": len(self._open)}


def refusing_url(path: str = "/") -> str:
    """Return a URL on 127.0.0.1 whose port nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}{path}"


async def _main(port: int) -> None:
    async with HttpTarget(port) as target:
        sys.stdout.write(f"{target.url('')}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(parser.parse_args().port))

__all__ = ["HttpTarget", "Received", "refusing_url"]
