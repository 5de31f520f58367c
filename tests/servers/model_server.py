"""A model server on this machine that says what a test tells it to, over real HTTP.

    async with ModelServer() as server:
        server.says("42", "43")                      # answers, first come first served
        server.replies(Reply(status=429, headers={"retry-after": "7"}))
        ...                                          # ask at server.base_url
        assert server.requests[0].body["model"] == "gpt-4o-mini"

Without an answer left it repeats the last user message. `requests` holds every request in order.
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import orjson


@dataclass(frozen=True)
class Reply:
    """One answer. `raw` replaces the body; `delay` is in seconds.

    `hangs` never answers, `hangs_up` closes the connection without an answer.
    """

    content: str | None = ""
    status: int = 200
    error: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    delay: float = 0.0
    hangs: bool = False
    hangs_up: bool = False
    prompt_tokens: int = 7
    completion_tokens: int = 3

    def body(self, model: str) -> bytes:
        if self.raw is not None:
            return self.raw
        if self.status >= 400:
            return orjson.dumps({"error": self.error or {"message": "refused", "code": None}})
        message = {"role": "assistant", "content": self.content}
        return orjson.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": model,
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {
                    "prompt_tokens": self.prompt_tokens,
                    "completion_tokens": self.completion_tokens,
                    "total_tokens": self.prompt_tokens + self.completion_tokens,
                },
            }
        )


@dataclass(frozen=True)
class Received:
    """One request; the names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def user_text(self) -> str:
        """The last message of the user."""
        texts = [m["content"] for m in self.body["messages"] if m["role"] == "user"]
        return str(texts[-1])


class ModelServer:
    """Serves `POST /v1/chat/completions` on 127.0.0.1 and a free port."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.most_at_once = 0
        self._at_once = 0
        self._asked = asyncio.Event()
        self._replies: deque[Reply] = deque()
        self._handlers: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    def says(self, *texts: str | None) -> None:
        """Queue answers with these texts."""
        self.replies(*(Reply(text) for text in texts))

    def replies(self, *replies: Reply) -> None:
        """Queue answers."""
        self._replies.extend(replies)

    async def until_asked(self, seconds: float = 20) -> None:
        """Wait for the first request. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            await self._asked.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._handlers:
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that goes away is what some tests are about.
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer_one(reader, writer):
                    pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        received = await _read(reader)
        self.requests.append(received)
        self._asked.set()
        reply = self._replies.popleft() if self._replies else Reply(received.user_text)
        if reply.hangs_up:
            return False
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await (asyncio.Event().wait() if reply.hangs else asyncio.sleep(reply.delay))
        finally:
            self._at_once -= 1
        body = reply.body(received.body.get("model", ""))
        headers = {"content-type": "application/json", **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} Said", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        return True


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, orjson.loads(body) if body else None)
