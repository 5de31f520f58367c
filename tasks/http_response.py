"""What an `http` node reads: a body of bounded size, its meaning, and what the headers say."""

import asyncio
import codecs
import math
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx
import orjson

from core.errors import NodeError

PIECE = 1024 * 1024
"""At most this many bytes are inflated before the size is looked at again, and others may run."""

OVERHEAD = 64 * 1024
"""A compressed body may be larger than its content by no more than this."""

_SHOWN_HEADERS = (
    "content-length",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "retry-after",
    "server",
    "x-request-id",
)
_CHARSETS = frozenset(
    {"ascii", "big5", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "iso2022_jp", "koi8-r"}
    | {"koi8-u", "shift_jis", "utf-8", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-8-sig"}
    | {f"iso8859-{part}" for part in range(1, 17)}
    | {f"cp{page}" for page in (866, 874, 932, 949, *range(1250, 1259))}
)
"""By Python's names. The codecs that are left out are no charsets, or slow on hostile input."""


class Inflater:
    """Undoes one content coding, piece by piece, so that a bomb never unfolds in memory."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._zlib: Any = None
        self._members = 0
        self._finished = False

    @property
    def is_complete(self) -> bool:
        """Tell whether the data does not end in the middle."""
        return self._zlib is None or self._finished

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` adds, at most `PIECE` bytes at a time. Raises `zlib.error`."""
        if not self._coding:
            yield data
            return
        while data and not self._finished:
            if self._zlib is None:
                self._zlib = self._fresh(data)
            yield from self._inflate(data)
            data = self._zlib.unused_data
            if self._zlib.eof:
                self._zlib = None
                self._members += 1
                self._finished = self._coding != "gzip"

    def _fresh(self, data: bytes) -> Any:
        if self._coding == "gzip":
            return zlib.decompressobj(zlib.MAX_WBITS | 16)
        # "deflate" means the zlib format, yet some servers send bare deflate data.
        is_zlib = data[0] & 0x0F == zlib.DEFLATED
        return zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = self._zlib.decompress(data, PIECE)
            except zlib.error:
                if not self._members:
                    raise
                self._finished = True  # padding after the last member of a gzip file
                return
            yield piece
            data = self._zlib.unconsumed_tail
            if not data and len(piece) < PIECE:
                return


async def read_body(response: httpx.Response, limit: int, *, cut: bool = False) -> bytearray:
    """Return the decoded body, of at most `limit` bytes.

    A longer one is cut off if `cut`, else `NodeError` with the code `http_too_large` is raised.
    An answer that cannot be decoded raises `http_protocol`; httpx's own errors pass through.
    """
    body = bytearray()
    received = 0
    inflater = Inflater(_coding(response))
    try:
        async for raw in response.aiter_raw():
            received += len(raw)
            for piece in inflater.feed(raw):
                body += piece
                if len(body) > limit or received > limit + OVERHEAD:
                    return _overflow(body, limit, cut=cut)
                await asyncio.sleep(0)
    except zlib.error:
        raise _undecodable("is damaged") from None
    if not inflater.is_complete:
        raise _undecodable("ends too early")
    return body


def _overflow(body: bytearray, limit: int, *, cut: bool) -> bytearray:
    if cut:
        return body[:limit]
    message = f"The answer is larger than the {limit} bytes that HTTP_MAX_BYTES allows."
    raise NodeError(message, code="http_too_large")


def _coding(response: httpx.Response) -> str:
    header: str = response.headers.get("content-encoding", "")
    listed = [name.strip().removeprefix("x-") for name in header.lower().split(",")]
    codings = [name for name in listed if name not in {"", "identity"}]
    if not codings:
        return ""
    if len(codings) > 1 or codings[0] not in {"gzip", "deflate"}:
        raise _undecodable("has a coding that was not asked for")
    return codings[0]


def _undecodable(what: str) -> NodeError:
    return NodeError(f"The compressed answer {what}.", code="http_protocol")


class Body(NamedTuple):
    """What a body means: a JSON value, or text that may have claimed to be JSON."""

    value: Any
    is_json: bool
    parse_error: bool = False


def body_value(body: bytearray, headers: httpx.Headers) -> Body:
    """Return a body as JSON or text.

    A JSON media type is parsed strictly: no NaN, no broken text. Any other body counts as JSON
    when all of it is one object or list; otherwise it is text.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    declared = media_type.endswith(("/json", "+json"))
    if declared or body[:64].lstrip().startswith((b"{", b"[")):
        try:
            return Body(_strict_json(body, _charset(headers)), is_json=True)
        except ValueError:
            text = as_text(body, headers)
            return Body(text, is_json=False, parse_error=declared and bool(body))
    return Body(as_text(body, headers), is_json=False)


def _strict_json(body: bytearray, charset: str) -> Any:
    if charset == "utf-8":
        value = orjson.loads(body.removeprefix(codecs.BOM_UTF8))
    else:
        value = orjson.loads(str(body, charset).removeprefix("\ufeff"))
    try:
        orjson.dumps(value)
    except TypeError:  # nested so deeply that it could be neither stored nor sent on
        raise ValueError("nested too deeply") from None
    return value


def as_text(body: bytearray, headers: httpx.Headers) -> str:
    """Return a body as text; what its charset cannot hold becomes a replacement character."""
    return str(body, _charset(headers), errors="replace")


def _charset(headers: httpx.Headers) -> str:
    *_, given = headers.get("content-type", "").lower().rpartition("charset=")
    try:
        name = codecs.lookup(given.partition(";")[0].strip(" \"'")).name
    except (LookupError, ValueError):
        return "utf-8"
    return name if name in _CHARSETS else "utf-8"


def retry_after(headers: httpx.Headers, now: datetime | None = None) -> float | None:
    """Return the seconds that `Retry-After` asks for, given as seconds or as an HTTP date."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    try:
        when = parsedate_to_datetime(text)
        seconds = (when.astimezone(UTC) - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, math.ceil(seconds))


def shown_headers(headers: httpx.Headers) -> dict[str, str]:
    """Return the headers that are worth a place in the logs, none that may hold a secret."""
    return {name: headers[name][:256] for name in _SHOWN_HEADERS if name in headers}


def status_line(status: int) -> str:
    """Return `200 OK`; the phrase is ours, whatever the server calls it."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
