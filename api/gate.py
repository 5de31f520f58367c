"""What every request passes first: its id, its host, its origin, its key; and last: its headers.

Plain ASGI: it costs microseconds, and a stream passes through it piece by piece.
"""

import hmac
import secrets
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.origins import Hosts, Origins
from api.problems import problem_answer, unexpected
from api.refusals import AddressTooLong, HeadersTooLarge
from config import Settings
from core.errors import BadRequest, CauceError, Unauthorized

OPEN_PATHS = frozenset({b"/", b"/health", b"/ready"})
"""What is served without a key, to GET and exactly so written."""
LONGEST_ADDRESS = 16 * 1024
LARGEST_HEADERS = 64 * 1024
_SINGLE = frozenset(
    {b"host", b"content-type", b"content-length", b"content-encoding", b"authorization"}
    | {b"x-api-key", b"origin", b"idempotency-key", b"if-match"}
)
_STANDING = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Headers of every answer that does not set its own."""

Headers = Mapping[bytes, bytes]


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = Hosts(settings.api_host)
        self._origins = Origins(settings.cors_origin_list)
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self._key = key.encode() if key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] != "websocket" or await self._admits(scope, receive, send):
            await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = scope["request_id"] = secrets.token_hex(8)
        started = False
        standing = [(b"x-request-id", request_id.encode())]

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                given = message.setdefault("headers", [])
                names = {name for name, _ in given}
                given += [header for header in _STANDING if header[0] not in names] + standing
            await send(message)

        try:
            headers = _read_headers(scope)
            standing += self._origins.answer_headers(headers)
            instead = self._instead(scope, headers)
            await (instead or self._app)(scope, receive, answer)
        except CauceError as error:
            await problem_answer(error, request_id)(scope, receive, answer)
        except Exception as error:
            failure = unexpected(error, request_id)
            if started:
                raise
            await failure(scope, receive, answer)

    def _instead(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a preflight request; raise for what may not pass."""
        self._hosts.check(headers.get(b"host"))
        preflight = self._origins.check(scope["method"], headers)
        if preflight is None:
            self._check_key(scope, headers)
        return preflight

    def _check_key(self, scope: Scope, headers: Headers) -> None:
        if self._key is None:
            return
        if scope.get("method") == "GET" and scope.get("raw_path") in OPEN_PATHS:
            return
        given = headers.get(b"x-api-key") or _bearer(headers.get(b"authorization", b""))
        if not hmac.compare_digest(given, self._key):
            raise Unauthorized

    async def _admits(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Refuse a WebSocket before its handshake, as a request would be."""
        try:
            headers = _read_headers(scope)
            self._hosts.check(headers.get(b"host"))
            self._origins.check("GET", headers, always=True)
            self._check_key(scope, headers)
        except CauceError:
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return False
        return True


def _bearer(value: bytes) -> bytes:
    scheme, _, token = value.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _read_headers(scope: Scope) -> Headers:
    """Return the headers by name. Raises `CauceError` for too many, and for those given twice."""
    if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > LONGEST_ADDRESS:
        raise AddressTooLong
    found: dict[bytes, bytes] = {}
    size = 0
    for name, value in scope["headers"]:
        size += len(name) + len(value) + 4
        if name in found and name in _SINGLE:
            if name == b"host":
                raise BadRequest("The request has several Host headers.", code="host_invalid")
            shown = name.decode("latin-1").title()
            raise BadRequest(f"The header {shown} is there twice.", code="header_duplicate")
        found[name] = value
    if size > LARGEST_HEADERS:
        raise HeadersTooLarge
    return found
