"""The HTTP client of all nodes: it connects to public addresses only, unless a setting opens more.

The rule is enforced where a connection is made, on the very address that it is made to, so that
neither a redirect nor a name that resolves differently the second time gets past it. TLS and the
`Host` header keep the name: only the TCP connection goes to the checked address.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable, Sequence
from http.cookiejar import CookieJar
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from typing import Any, Protocol

import httpcore
import httpx

from config import Settings
from core.errors import NodeError
from tasks.net_guard import (
    Address,
    AllowedHosts,
    allowed_hosts,
    blocked,
    is_public,
    literal_address,
)

MAX_ADDRESSES = 4
"""At most this many addresses of one name are tried, one after the other."""

MAX_CONNECTIONS = 1000
MAX_IDLE_CONNECTIONS = 100

SocketOptions = Iterable[httpcore.SOCKET_OPTION]


class Resolver(Protocol):
    """Finds the addresses of a name."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return IP addresses in the order to try them. Raises `OSError` when there are none."""
        ...


class SystemResolver:
    """Asks the operating system, in a thread of the loop's default executor."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return IP addresses in the order of RFC 6724. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(where[0]) for *_, where in found))


class ConnectedStream(httpcore.AsyncNetworkStream):
    """A TCP connection that is closed also when it is cancelled in the middle of a TLS handshake.

    httpcore 1.0 closes it on errors only, and would leave the socket open.
    """

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (the signature is httpcore's)
    ) -> httpcore.AsyncNetworkStream:
        """Return the connection with TLS on it."""
        try:
            return await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self._inner.aclose()
            raise

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the signature is httpcore's)
    ) -> bytes:
        """Return some bytes; none at the end."""
        return await self._inner.read(max_bytes, timeout)

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 (the signature is httpcore's)
    ) -> None:
        """Send bytes."""
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore wants to know of the socket."""
        return self._inner.get_extra_info(info)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a host, checks every address that it has, and connects to a checked one.

    One forbidden address among public ones refuses the host: a name that mixes them is either
    an attack or an intranet name, and nothing may depend on which of them is tried first.
    """

    def __init__(
        self, allowed: AllowedHosts, resolver: Resolver, inner: httpcore.AsyncNetworkBackend
    ) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the signature is httpcore's)
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect within `timeout` seconds. Raises `NodeError` with the code `ssrf_blocked`."""
        try:
            async with asyncio.timeout(timeout) as deadline:
                addresses = await self._addresses(host, port)
                return await self._connect(
                    addresses[:MAX_ADDRESSES], port, deadline.when(), local_address, socket_options
                )
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no connection to {host} in time") from None

    async def _connect(
        self, addresses: Sequence[str], port: int, deadline: float | None, *options: Any
    ) -> httpcore.AsyncNetworkStream:
        """Try the addresses in turn; each gets an equal share of the time that is left."""
        failure: Exception = httpcore.ConnectError("the name has no address")
        for index, address in enumerate(addresses):
            share = _share(deadline, len(addresses) - index)
            try:
                return ConnectedStream(
                    await self._inner.connect_tcp(address, port, share, *options)
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _addresses(self, host: str, port: int) -> list[str]:
        literal = literal_address(host)
        found = [str(literal)] if literal else await self._resolved(host, port)
        if not self._allowed.opens(host, port) and not all(map(_is_public, found)):
            raise NodeError(blocked(host), code="ssrf_blocked")
        return found

    async def _resolved(self, host: str, port: int) -> list[str]:
        try:
            return list(await self._resolver.resolve(host, port))
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host} cannot be resolved") from error

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 (the signature is httpcore's)
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no request of a workflow goes to a local socket."""
        raise NodeError(blocked(path), code="ssrf_blocked")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)


def _share(deadline: float | None, parts: int) -> float | None:
    if deadline is None:
        return None
    return max(0.001, (deadline - asyncio.get_running_loop().time()) / parts)


def _is_public(text: str) -> bool:
    try:
        address: Address = ip_address(text)
    except ValueError:
        return False
    return is_public(address)


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over a guarded backend, without proxies."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        # Only SSL_CERT_FILE and SSL_CERT_DIR are read here: the authorities of an intranet.
        context = httpx.create_ssl_context(trust_env=True)
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=5.0,
            network_backend=backend,
        )


class NoCookies(CookieJar):
    """Keeps nothing: the client is shared by the workflows of all users."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Leave the answer's cookies alone."""

    def add_cookie_header(self, request: Any) -> None:
        """Add none."""


def user_agent() -> str:
    """Return the `User-Agent` of all requests."""
    try:
        return f"Cauce/{version('cauce')}"
    except PackageNotFoundError:
        return "Cauce/dev"


def guarded_client(
    settings: Settings,
    resolver: Resolver | None = None,
    backend: httpcore.AsyncNetworkBackend | None = None,
) -> httpx.AsyncClient:
    """Return a client for requests that users of the service define.

    It reads no proxy settings, follows no redirect, keeps no cookie, and connects to addresses
    that are globally routable and to the hosts of `HTTP_ALLOWED_HOSTS`: anything else raises
    `NodeError` with the code `ssrf_blocked`. `backend` makes the connections to checked
    addresses. Raises `ConfigError` when `HTTP_ALLOWED_HOSTS` cannot be read.
    """
    guard = GuardedBackend(
        allowed_hosts(settings.http_allowed_hosts),
        resolver or SystemResolver(),
        backend or httpcore.AnyIOBackend(),
    )
    return httpx.AsyncClient(
        transport=GuardedTransport(guard),
        trust_env=False,
        follow_redirects=False,
        timeout=settings.http_timeout,
        cookies=NoCookies(),
        headers={"User-Agent": user_agent()},
    )
