"""Keeps other web sites out of the embedded Prefect server, which knows no users."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK = "http://127.0.0.1:* http://localhost:* ws://127.0.0.1:* ws://localhost:*"
_POLICY = f"connect-src 'self' data: blob: {_LOOPBACK}; frame-ancestors 'self'"


class OwnOriginOnly:
    """ASGI middleware: 403 for a foreign `Host` (DNS rebinding) or a foreign `Origin`.

    A browser sends `Origin` with every WebSocket and with every cross-site request that could
    change something, so this stops forged requests as a CSRF token would, at no cost to our
    own client, which sends no `Origin`. Answers carry a Content-Security-Policy under which the
    pages call nothing but this machine.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._names = {urlsplit(origin).hostname for origin in self._origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or pass the request on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif not self._admits(Headers(scope=scope)):
            await _refuse(scope, receive, send)
        else:
            await self._app(scope, receive, _with_policy(send))

    def _admits(self, headers: Headers) -> bool:
        host, origin = headers.get("host", ""), headers.get("origin")
        return host.rsplit(":", 1)[0] in self._names and (
            origin is None or origin in self._origins or origin == f"http://{host}"
        )


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        refusal = PlainTextResponse("This server answers its own pages only.", status_code=403)
        await refusal(scope, receive, send)


def _with_policy(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(raw=message["headers"]).append("content-security-policy", _POLICY)
        await send(message)

    return sending
