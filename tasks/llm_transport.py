"""Answers of a model server are read whole, but never more than a limit."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from core.errors import NodeError

_ANONYMOUS = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host"}
)


class BoundedTransport(httpx.AsyncBaseTransport):
    """Sends through another client and reads the answer, at most `limit` bytes once unpacked.

    `anonymous` requests carry no header that says who asks: the SDK adds the operator's key,
    organization and more from the environment. Raises `NodeError` with `payload_too_large`.
    """

    def __init__(self, client: httpx.AsyncClient, limit: int, *, anonymous: bool) -> None:
        self._client = client
        self._limit = limit
        self._anonymous = anonymous

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer with its body."""
        sent = _without_sender(request) if self._anonymous else request
        answer = await self._client.send(sent, stream=True, follow_redirects=False)
        try:
            body = await self._body(answer)
        finally:
            await answer.aclose()
        headers = [
            (name, value)
            for name, value in answer.headers.raw
            if name.lower() not in (b"content-encoding", b"content-length", b"transfer-encoding")
        ]
        return httpx.Response(answer.status_code, headers=headers, content=body)

    async def _body(self, answer: httpx.Response) -> bytes:
        parts = []
        size = 0
        async for part in answer.aiter_bytes():
            size += len(part)
            if size > self._limit:
                message = f"The model server's answer is larger than {self._limit} bytes."
                raise NodeError(message, code="payload_too_large")
            parts.append(part)
        return b"".join(parts)


def _without_sender(request: httpx.Request) -> httpx.Request:
    """Return a copy: the SDK still reads the headers of the request that it made."""
    return httpx.Request(
        request.method,
        request.url,
        headers=[pair for pair in request.headers.items() if pair[0] in _ANONYMOUS],
        stream=request.stream,
        extensions=request.extensions,
    )


def bounded_client(client: httpx.AsyncClient, limit: int, *, anonymous: bool) -> httpx.AsyncClient:
    """Return a client over another one; it follows no redirect and need not be closed."""
    transport = BoundedTransport(client, limit, anonymous=anonymous)
    return httpx.AsyncClient(transport=transport, trust_env=False)


def operators_client(base_url: str) -> httpx.AsyncClient:
    """Return a client for the operator's own model server, which may be anywhere.

    It takes the way through the operator's proxy (`HTTPS_PROXY`), save to this machine.
    """
    return httpx.AsyncClient(trust_env=not is_loopback(base_url), follow_redirects=False)


def is_loopback(url: str) -> bool:
    """Tell whether a URL names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
