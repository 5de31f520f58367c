"""Which addresses and URLs a request of a workflow may go to: rules without look-ups or I/O.

A request may only reach addresses that are globally routable. Host names are decided on where
they resolve to at the moment of connecting (`tasks.http_client`); what can be seen from the text
of a URL alone is refused here already, when a workflow is saved.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import NamedTuple, Self
from urllib.parse import unquote

import httpx

from core.errors import ConfigError

Address = IPv4Address | IPv6Address

MAX_URL_LENGTH = 8192
"""Characters. RFC 9110 asks for at least 8,000."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?", re.DOTALL)
_PORT = re.compile(r"0*[0-9]{1,5}", re.ASCII)
_HOST_NAME = re.compile(r"(?=.{1,254}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"0x([0-9a-f]*)|0([0-7]*)|([1-9][0-9]*)", re.ASCII)
_LOCAL_NAME = re.compile(
    r"(?:.+\.)?(?:localhost|localhost\.localdomain|ip6-localhost|ip6-loopback)"
)
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog"})

_GLOBAL_IPV6 = ip_network("2000::/3")
"""All that IANA has given out as global unicast. Outside of it lie the embedded forms of IPv4
(mapped, compatible, translated, NAT64 64:ff9b::/96 and 64:ff9b:1::/48), link-local fe80::/10,
unique local fc00::/7 and multicast."""

_REFUSED = tuple(
    ip_network(block)
    for block in (
        "100.64.0.0/10",  # carrier NAT, and the metadata service of one cloud
        "168.63.129.16/32",  # a public address that one cloud's hosts answer on themselves
        "169.254.0.0/16",  # link-local, and most metadata services
        "192.0.0.0/24",  # IETF protocol assignments, and the metadata service of one cloud
        "192.88.99.0/24",  # 6to4 relays
        "224.0.0.0/4",  # multicast counts as global
        "2001::/23",  # IETF protocol assignments, Teredo among them
        "2002::/16",  # 6to4 carries any IPv4 address
        "3fff::/20",  # documentation, RFC 9637
    )
)


class UrlProblem(NamedTuple):
    """What is wrong with a URL: a stable word and a sentence.

    The codes are `url_invalid`, `url_scheme`, `url_port` and `url_blocked`.
    """

    code: str
    message: str


def is_public(address: Address) -> bool:
    """Tell whether an address is globally routable, and safe to send a user's request to."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.scope_id is None and is_public(address.ipv4_mapped)
        if address.scope_id is not None or address not in _GLOBAL_IPV6:
            return False
    if not address.is_global:
        return False
    return not any(address in block for block in _REFUSED if block.version == address.version)


def literal_address(host: str) -> Address | None:
    """Return the address that a host spells out, in any form that some resolver understands.

    Beside the usual forms: decimal, octal, hexadecimal and short IPv4 as `inet_aton` reads them,
    full-width and enclosed characters, percent-encoding, brackets, zone ids, trailing dots.
    """
    text = unicodedata.normalize("NFKC", unquote(host)).replace("。", ".").lower().rstrip(".")
    if ":" not in text:
        return _legacy_ipv4(text)
    try:
        return IPv6Address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _legacy_ipv4(text: str) -> IPv4Address | None:
    """Read one to four numbers; the last one fills the bytes that are left."""
    numbers = [_number(part) for part in text.split(".")] if len(text) < 256 else []
    if not 1 <= len(numbers) <= 4:
        return None
    *heads, last = [-1 if number is None else number for number in numbers]
    if not 0 <= last < 256 ** (4 - len(heads)) or not all(0 <= head < 256 for head in heads):
        return None
    return IPv4Address(last + sum(head << 8 * (3 - n) for n, head in enumerate(heads)))


def _number(text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    hexadecimal, octal, decimal = match.groups()
    if decimal:
        return int(decimal)
    return int(hexadecimal or "0", 16) if octal is None else int(octal or "0", 8)


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The hosts that a setting opens: pairs of a host and a port, `None` meaning every port."""

    entries: frozenset[tuple[str, int | None]] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `127.0.0.1, intranet.example:8080, [::1]:9000`. Raises `ConfigError`."""
        return cls(frozenset(_entry(part.strip()) for part in text.split(",") if part.strip()))

    def opens(self, host: str, port: int) -> bool:
        """Tell whether a host (as `httpx.URL.raw_host` gives it) is open on a port."""
        return (host, None) in self.entries or (host, port) in self.entries


@lru_cache(maxsize=16)
def allowed_hosts(setting: str) -> AllowedHosts:
    """Return what `HTTP_ALLOWED_HOSTS` opens. Raises `ConfigError` when it cannot be read."""
    return AllowedHosts.parse(setting)


def _entry(text: str) -> tuple[str, int | None]:
    bare_ipv6 = text.count(":") > 1 and not text.startswith("[")
    try:
        url = httpx.URL(f"//[{text}]" if bare_ipv6 else f"//{text}")
    except (httpx.InvalidURL, UnicodeError):
        url = httpx.URL("")
    host = url.raw_host.decode("ascii")
    plain = not (url.userinfo or url.query or url.fragment or url.path.strip("/"))
    if not plain or not _is_host(host) or not (url.port is None or 0 < url.port < 65536):
        raise ConfigError(
            f'HTTP_ALLOWED_HOSTS holds "{text}", which is not a host with an optional port. '
            "Example: HTTP_ALLOWED_HOSTS=127.0.0.1,intranet.example:8080"
        )
    return host, url.port


def _is_host(host: str) -> bool:
    if ":" in host:
        return literal_address(host) is not None
    return _HOST_NAME.fullmatch(host) is not None


def blocked(host: str) -> str:
    """Return the sentence for a host that is not public: it names the setting that opens it."""
    shown = host if len(host) <= 64 else f"{host[:63]}…"
    return (
        f'"{shown}" is not a public address, so no request is sent to it. '
        f'To open it, add "{shown}" to HTTP_ALLOWED_HOSTS.'
    )


def host_of(url: httpx.URL) -> str:
    """Return a URL's host as it goes over the wire: ASCII, lower case, without brackets."""
    return url.raw_host.decode("ascii")


def port_of(url: httpx.URL) -> int:
    """Return the port that a URL leads to, its scheme's own one if it names none."""
    return url.port or _DEFAULT_PORTS.get(url.scheme, 0)


def check_url(text: str, allowed: AllowedHosts) -> list[UrlProblem]:
    """Return all that is wrong with a URL, as far as its text tells; an empty list: nothing.

    A name that resolves to a private address is not seen here, but when it is connected to.
    """
    fault = _form_fault(text)
    if fault is not None:
        return [fault]
    authority = re.split(r"[/?#]", text.partition("//")[2], maxsplit=1)[0]
    problems = [*_character_problems(text), *_authority_problems(authority)]
    url = _read(text)
    if not problems and (url is None or not _is_host(host_of(url))):
        problems.append(UrlProblem("url_invalid", "The host of the URL is not a valid one."))
    written = _split(authority)[0]
    is_open = url is not None and allowed.opens(host_of(url), port_of(url))
    if not is_open and any(map(_is_local, {written, host_of(url) if url else written})):
        problems.append(UrlProblem("url_blocked", blocked(written)))
    return problems


def _form_fault(text: str) -> UrlProblem | None:
    """Return why the text is no absolute http URL at all, if it is none."""
    if not text:
        return UrlProblem("url_invalid", "The URL is missing.")
    if len(text) > MAX_URL_LENGTH:
        return UrlProblem("url_invalid", f"The URL is longer than {MAX_URL_LENGTH} characters.")
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        return UrlProblem("url_invalid", "The URL must begin with http:// or https://.")
    if scheme.lower() not in _DEFAULT_PORTS:
        message = f'The URL begins with "{scheme[:32]}:"; it must be http:// or https://.'
        return UrlProblem("url_scheme", message)
    if not rest.startswith("//"):
        return UrlProblem("url_invalid", f'The URL must begin with "{scheme.lower()}://".')
    return None


def _character_problems(text: str) -> Iterator[UrlProblem]:
    if any(char <= " " or char in "\\\x7f" or char.isspace() for char in text):
        message = "The URL holds a space, a line break, a control character or a backslash."
        yield UrlProblem("url_invalid", message)
    if any("\ud800" <= char <= "\udfff" for char in text):
        yield UrlProblem("url_invalid", "The URL holds half of a character.")


def _authority_problems(authority: str) -> Iterator[UrlProblem]:
    if "@" in authority:
        message = "The URL holds a user name or password: set the authorization apart from it."
        yield UrlProblem("url_invalid", message)
    host, port = _split(authority)
    if not host:
        yield UrlProblem("url_invalid", "The URL has no host.")
    if port and not (_PORT.fullmatch(port) and 0 < int(port) < 65536):
        yield UrlProblem("url_port", f'The port "{port[:32]}" is not a number from 1 to 65535.')


def _split(authority: str) -> tuple[str, str | None]:
    """Return host and port as written; no host if the two cannot be told apart."""
    match = _HOST_AND_PORT.fullmatch(authority.rpartition("@")[2])
    return (match[1], match[2]) if match else ("", None)


def _read(text: str) -> httpx.URL | None:
    try:
        return httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError):
        return None


def _is_local(host: str) -> bool:
    """Tell whether a host can only mean this machine, its neighbours or its cloud."""
    address = literal_address(host)
    if address is not None:
        return not is_public(address)
    name = host.lower().rstrip(".")
    return name in _METADATA_NAMES or _LOCAL_NAME.fullmatch(name) is not None
