"""What an `http` node sends: the first request, and what becomes of it on a redirect."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode, urljoin

import httpx
import orjson

from core.errors import NodeError
from tasks.context import NodeContext
from tasks.http_config import IDEMPOTENT, HttpAuth, HttpConfig
from tasks.http_headers import Headers, scalar_text
from tasks.net_guard import AllowedHosts, check_url, host_of, port_of

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 10

_PORTABLE_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "content-language",
        "content-type",
        "idempotency-key",
        "user-agent",
    }
)
_BODY_HEADERS = frozenset(
    {"content-encoding", "content-language", "content-type", "idempotency-key"}
)


@dataclass(frozen=True, slots=True)
class Call:
    """One request that is still to be sent."""

    method: str
    url: httpx.URL
    headers: Headers
    content: bytes | None

    @property
    def is_idempotent(self) -> bool:
        """Tell whether it does no harm to send it twice."""
        return self.method in IDEMPOTENT

    def redirected(self, status: int, location: str, allowed: AllowedHosts) -> "Call":
        """Return the request that follows a redirect (RFC 9110, section 15.4).

        301 and 302 turn a POST into a GET, 303 anything but a HEAD; 307 and 308 repeat the
        request. Another origin gets only headers that describe the content or a preference,
        since any other header may be a secret. Raises `NodeError` as `check_url` says, with
        `ssrf_blocked` for a private address.
        """
        url = _target(self.url, location, allowed)
        call = replace(self, url=url)
        if (status == 303 and self.method != "HEAD") or (
            status in {301, 302} and self.method == "POST"
        ):
            kept = _without(self.headers, _BODY_HEADERS)
            call = replace(call, method="GET", content=None, headers=kept)
        if _origin(url) != _origin(self.url):
            call = replace(call, headers=_only(call.headers, _PORTABLE_HEADERS))
        return call


def first_call(config: HttpConfig, data: Any, context: NodeContext) -> Call:
    """Return the request that a node sends first. Raises `NodeError` when it cannot be made."""
    content, content_type = _content(config, data)
    headers = [*config.headers, *_auth_headers(config.auth)]
    given = {name.lower() for name, _ in headers}
    own = [("Accept-Encoding", "gzip, deflate")]
    if content is not None:
        own.append(("Content-Type", content_type))
    if config.method not in IDEMPOTENT:
        # A node id may hold any character, a header not.
        own.append(("Idempotency-Key", quote(context.idempotency_key, safe="")))
    headers += [(name, value) for name, value in own if name.lower() not in given]
    return Call(config.method, _url(config), tuple(headers), content)


def _url(config: HttpConfig) -> httpx.URL:
    """Return the URL; names in `httpQuery` replace those of the same name in `httpUrl`."""
    try:
        url = httpx.URL(config.url)
        return url.copy_merge_params(dict(_query(config))) if config.query else url
    except (httpx.InvalidURL, UnicodeError):
        raise NodeError("The URL with its query is not valid.", code="url_invalid") from None


def _query(config: HttpConfig) -> Iterator[tuple[str, list[str]]]:
    for name, value in config.query.items():
        values = value if isinstance(value, list) else [value]
        yield name, [scalar_text(item) for item in values]


def _auth_headers(auth: HttpAuth | None) -> Headers:
    match auth:
        case None:
            return ()
        case HttpAuth(type="basic"):
            pair = f"{auth.username}:{auth.password}".encode()
            return (("Authorization", f"Basic {base64.b64encode(pair).decode()}"),)
        case HttpAuth(type="bearer"):
            return (("Authorization", f"Bearer {auth.token.strip()}"),)
        case _:
            return ((auth.name, auth.value.strip()),)


def _content(config: HttpConfig, data: Any) -> tuple[bytes | None, str]:
    """Return the body and its media type. An absent input is no body."""
    if not config.has_body:
        if config.sends_input and data is not None:
            return _as_json(data), "application/json"
        return None, ""
    body = config.body
    if config.body_type == "form":
        return _as_form(body).encode(), "application/x-www-form-urlencoded"
    if config.body_type == "text" or (config.body_type is None and isinstance(body, str)):
        text = body if isinstance(body, str) else _as_json(body).decode()
        return _encoded(text), "text/plain; charset=utf-8"
    return _as_json(body), "application/json"


def _as_form(body: Mapping[str, Any]) -> str:
    pairs = [(name, value) for name, value in body.items() if not isinstance(value, list)]
    pairs += [
        (n, item) for n, values in body.items() if isinstance(values, list) for item in values
    ]
    try:
        return urlencode([(str(name), _form_text(value)) for name, value in pairs])
    except UnicodeEncodeError:
        raise _unsendable() from None


def _form_text(value: Any) -> str:
    if isinstance(value, str | int | float | None):
        return scalar_text(value)
    return _as_json(value).decode()


def _as_json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        pass  # numbers beyond 64 bits and deep nesting are left to the slower encoder
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise _unsendable() from None


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _unsendable() from None


def _unsendable() -> NodeError:
    return NodeError("The body cannot be written as JSON or UTF-8.", code="body_invalid")


def _target(url: httpx.URL, location: str, allowed: AllowedHosts) -> httpx.URL:
    try:
        target = urljoin(str(url), location.replace(" ", "%20"))
    except ValueError:
        message = "The answer redirects to a URL that is not valid."
        raise NodeError(message, code="url_invalid") from None
    faults = check_url(target, allowed)
    for fault in sorted(faults, key=lambda fault: fault.code != "url_blocked"):
        code = "ssrf_blocked" if fault.code == "url_blocked" else fault.code
        raise NodeError(f"The answer redirects elsewhere. {fault.message}", code=code)
    return httpx.URL(target)


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, host_of(url), port_of(url)


def _only(headers: Headers, names: frozenset[str]) -> Headers:
    return tuple((name, value) for name, value in headers if name.lower() in names)


def _without(headers: Headers, names: frozenset[str]) -> Headers:
    return tuple((name, value) for name, value in headers if name.lower() not in names)


def shown_url(url: httpx.URL) -> str:
    """Return a URL for logs: values of its query may be secrets and are masked."""
    masked = "&".join(f"{quote(name)}=***" for name, _ in url.params.multi_items())
    port = f":{url.port}" if url.port else ""
    host = f"[{host_of(url)}]" if ":" in host_of(url) else host_of(url)
    path = url.raw_path.decode("ascii").partition("?")[0]
    return f"{url.scheme}://{host}{port}{path}" + (f"?{masked}" if masked else "")
