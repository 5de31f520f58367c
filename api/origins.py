"""Which hosts a request may be for, and which pages may send one."""

import ipaddress
import re
from collections.abc import Mapping

from starlette.responses import Response

from api.refusals import Forbidden
from core.errors import BadRequest

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253})(:[0-9]{1,5})?")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = b"GET, POST, PUT, DELETE, OPTIONS"
_ASKABLE = b"Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, X-API-Key"
_SHOWN = b"ETag, Idempotent-Replayed, Location, Retry-After, X-Request-Id"

Headers = Mapping[bytes, bytes]


class Hosts:
    """Checks the Host header.

    A service of this machine alone answers to names of this machine alone: a name of somebody
    else's that was made to lead here (DNS rebinding) would let a foreign page in.
    """

    def __init__(self, api_host: str) -> None:
        self._own = _plain(api_host)
        self._any = not _is_own(self._own)

    def check(self, host: bytes | None) -> None:
        """Raise `BadRequest` unless the request may be for this host."""
        matched = _HOST.fullmatch(host.decode("latin-1")) if host else None
        if matched is None:
            raise BadRequest("The Host header is not a host.", code="host_invalid")
        name = _plain(matched[1])
        if not (self._any or name == self._own or _is_own(name)):
            raise BadRequest(
                "This service answers to localhost only: set API_HOST to serve other hosts.",
                code="host_invalid",
            )


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _is_own(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


class Origins:
    """Which pages' requests are served, and whose answers a browser may show them (CORS)."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._any = "*" in allowed
        self._allowed = frozenset(origin.rstrip("/").lower().encode() for origin in allowed)

    def allows(self, origin: bytes) -> bool:
        """Tell whether a foreign page may call."""
        return self._any or origin.lower() in self._allowed

    def check(self, method: str, headers: Headers, *, always: bool = False) -> Response | None:
        """Return the answer to a preflight request, `None` for any other.

        Raises `Forbidden` for a foreign page that asks for more than reading; with `always` for
        any foreign page.
        """
        origin = headers.get(b"origin")
        if origin is None:
            return None
        preflight = method == "OPTIONS" and b"access-control-request-method" in headers
        if not preflight and method in _SAFE and not always:
            return None
        if not self.allows(origin) and not _same(origin, headers.get(b"host", b"")):
            raise Forbidden
        return Response(None, 204) if preflight else None

    def answer_headers(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """Return the headers that let the asking page see the answer."""
        if not self._allowed:
            return []
        varies = [] if self._any else [(b"vary", b"Origin")]
        origin = headers.get(b"origin")
        if origin is None or not self.allows(origin):
            return varies
        granted = [
            (b"access-control-allow-origin", b"*" if self._any else origin),
            (b"access-control-expose-headers", _SHOWN),
        ]
        if not self._any:  # a browser takes no credentials together with "*", and neither do we
            granted.append((b"access-control-allow-credentials", b"true"))
        if b"access-control-request-method" in headers:
            granted += [
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", _ASKABLE),
                (b"access-control-max-age", b"600"),
            ]
        return varies + granted


def _same(origin: bytes, host: bytes) -> bool:
    """Tell whether a page comes from this host; a proxy may have changed the scheme."""
    return origin.partition(b"://")[2].lower() == host.lower() != b""
