"""What the paths of `tests.servers.http_target` do. Parameters are those of the query.

Well: `/json` `{"ok": true}` · `/text` · `/echo` the request as JSON · `/empty` 204 ·
`/status/503` (`body`) · `/answer` (`status`, `type`, `body`, `header` as `Name:value`, repeatable)
· `/redirect/302` (`to`) · `/hops/3` redirects three times, then answers as `/echo`.

By count of the same key: `/busy` (`times` 1, `after` seconds or text) 429 with `Retry-After`, then
as `/json` · `/flaky` (`times` 1, `status` 503) fails, then as `/json`.

Slow or large: `/slow` (`seconds`, `times` all) before the first byte · `/drip` (`bytes`,
`interval` seconds, one byte each time) · `/stream` (`bytes`, zeros in chunks) · `/bomb/gzip` and
`/bomb/deflate` (`bytes` of zeros, compressed).

Broken: `/reset` before an answer · `/cut` closes after a part of the headers · `/short` fewer
bytes than promised · `/bad-chunks` · `/endless-headers` · `/informational` 1xx without end.
"""

import asyncio
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in. Names of headers are in lower case; `at` is monotonic seconds."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.target).path

    @property
    def key(self) -> str:
        """What the request is counted by."""
        return self.parameter("key", self.path)

    def parameter(self, name: str, default: str = "") -> str:
        """Return the first parameter of that name."""
        return self.parameters(name)[0] if self.parameters(name) else default

    def parameters(self, name: str) -> list[str]:
        """Return all parameters of that name."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True).get(name, [])

    def json(self) -> Any:
        """Return the body's JSON."""
        return orjson.loads(self.body)


Behaviour = Callable[[Received, asyncio.StreamWriter, int], Awaitable[bool]]


async def parse_request(reader: asyncio.StreamReader, now: float) -> Received:
    """Read one request.

    Raises `ConnectionError` or `asyncio.IncompleteReadError` when none comes.
    """
    start = await reader.readexactly(1)
    if not start.isalpha():
        raise ConnectionError("this is no HTTP")
    head = (start + await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
    first, *lines = head.rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body, now)


async def send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes = b"",
    headers: Iterable[str] = (),
    *,
    length: int | None = None,
) -> bool:
    """Send a whole answer and keep the connection."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Odd"
    lines = [f"HTTP/1.1 {status} {phrase}", *headers]
    if status != 204:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()
    return True


async def json_answer(writer: asyncio.StreamWriter, value: Any, status: int = 200) -> bool:
    """Send a value as JSON."""
    return await send(writer, status, orjson.dumps(value), ["Content-Type: application/json"])


async def _json(request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    if request.method == "HEAD":
        return await send(writer, 200, b"", ["Content-Type: application/json"], length=11)
    return await json_answer(writer, {"ok": True})


async def _text(_request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    return await send(writer, 200, b"hello", ["Content-Type: text/plain"])


async def _echo(request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    body = request.body.decode(errors="replace")
    headers = request.headers
    shown = {"method": request.method, "target": request.target, "headers": headers, "body": body}
    return await json_answer(writer, shown)


async def _empty(_request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    return await send(writer, 204)


async def _status(request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    return await send(writer, int(request.path.split("/")[2]), request.parameter("body").encode())


async def _answer(request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    headers = [line.replace(":", ": ", 1) for line in request.parameters("header")]
    if request.parameter("type"):
        headers.append(f"Content-Type: {request.parameter('type')}")
    body = request.parameter("body").encode("latin-1")
    return await send(writer, int(request.parameter("status", "200")), body, headers)


async def _redirect(request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    status = int(request.path.split("/")[2])
    return await send(writer, status, b"moved", [f"Location: {request.parameter('to')}"])


async def _hops(request: Received, writer: asyncio.StreamWriter, count: int) -> bool:
    left = int(request.path.split("/")[2])
    if left == 0:
        return await _echo(request, writer, count)
    return await send(writer, 302, b"", [f"Location: /hops/{left - 1}"])


async def _busy(request: Received, writer: asyncio.StreamWriter, count: int) -> bool:
    if count > int(request.parameter("times", "1")):
        return await json_answer(writer, {"ok": True})
    return await send(writer, 429, b"", [f"Retry-After: {request.parameter('after', '1')}"])


async def _flaky(request: Received, writer: asyncio.StreamWriter, count: int) -> bool:
    if count > int(request.parameter("times", "1")):
        return await json_answer(writer, {"ok": True})
    return await send(writer, int(request.parameter("status", "503")))


async def _slow(request: Received, writer: asyncio.StreamWriter, count: int) -> bool:
    late = count <= int(request.parameter("times", "1000000"))
    await asyncio.sleep(float(request.parameter("seconds", "1")) if late else 0)
    return await json_answer(writer, {"ok": True})


async def _drip(request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    size = int(request.parameter("bytes", "1000"))
    await send(writer, 200, b"", ["Content-Type: text/plain"], length=size)
    for _ in range(size):
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(float(request.parameter("interval", "0.01")))
    return True


async def _chunked(
    writer: asyncio.StreamWriter, chunks: AsyncIterator[bytes], *headers: str
) -> bool:
    lines = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    async for chunk in chunks:
        if chunk:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def _zeros(size: int) -> AsyncIterator[bytes]:
    block = bytes(65536)
    while size > 0:
        yield block[:size]
        size -= len(block)


async def _stream(request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    size = int(request.parameter("bytes", "1000000"))
    return await _chunked(writer, _zeros(size), "Content-Type: application/octet-stream")


async def _bomb(request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    coding = request.path.split("/")[2]
    packed = _packed(int(request.parameter("bytes", "1000000")), coding)
    return await _chunked(writer, packed, f"Content-Encoding: {coding}")


async def _packed(size: int, coding: str) -> AsyncIterator[bytes]:
    """Yield compressed zeros; the work for a mebibyte is done once."""
    yield b"\x1f\x8b\x08\0\0\0\0\0\0\xff" if coding == "gzip" else b"\x78\x9c"
    unit, check = bytes(2**20), 0 if coding == "gzip" else 1
    add = zlib.crc32 if coding == "gzip" else zlib.adler32
    pack = zlib.compressobj(wbits=-15)
    block = pack.compress(unit) + pack.flush(zlib.Z_FULL_FLUSH)
    for _ in range(size // len(unit)):
        yield block
    rest = unit[: size % len(unit)]
    pack = zlib.compressobj(wbits=-15)
    yield pack.compress(rest) + pack.flush()
    for _ in range(size // len(unit)):
        check = add(unit, check)
        await asyncio.sleep(0)
    check = add(rest, check)
    yield struct.pack("<II", check, size % 2**32) if coding == "gzip" else struct.pack(">I", check)


async def _reset(_request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


async def _cut(_request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    return await _raw(writer, b"HTTP/1.1 200 OK\r\nContent-Ty")


async def _short(_request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    return await _raw(writer, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfar too short")


async def _bad_chunks(_request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return await _raw(writer, head + b"xyz\r\nnot a chunk\r\n")


async def _raw(writer: asyncio.StreamWriter, data: bytes) -> bool:
    """Send bytes, then close."""
    writer.write(data)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    return False


async def _endless_headers(_request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"a" * 1000 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0)


async def _informational(_request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 10)
        await writer.drain()
        await asyncio.sleep(0.001)


async def _missing(_request: Received, writer: asyncio.StreamWriter, _count: int) -> bool:
    return await json_answer(writer, {"error": "there is no such behaviour"}, 404)


BEHAVIOURS: dict[str, Behaviour] = {
    "answer": _answer,
    "bad-chunks": _bad_chunks,
    "bomb": _bomb,
    "busy": _busy,
    "cut": _cut,
    "drip": _drip,
    "echo": _echo,
    "empty": _empty,
    "endless-headers": _endless_headers,
    "flaky": _flaky,
    "hops": _hops,
    "informational": _informational,
    "json": _json,
    "missing": _missing,
    "redirect": _redirect,
    "reset": _reset,
    "short": _short,
    "slow": _slow,
    "status": _status,
    "stream": _stream,
    "text": _text,
}
"""By the first part of the path."""
