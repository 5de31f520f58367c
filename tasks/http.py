"""The `http` node: one HTTP request, with the redirects that follow from it."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from core.errors import NodeError
from core.policy import RetryPolicy
from tasks.context import NodeContext
from tasks.http_config import IDEMPOTENT, HttpConfig, check_rendered
from tasks.http_request import MAX_REDIRECTS, REDIRECTS, Call, first_call, shown_url
from tasks.http_response import (
    as_text,
    body_value,
    read_body,
    retry_after,
    shown_headers,
    status_line,
)
from tasks.net_guard import allowed_hosts
from tasks.outcomes import Completed
from tasks.registry import node

RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""A later attempt may get another answer."""

ERROR_BODY = 2048
"""So many bytes of an error's body are kept in the details of the failure."""


def default_retry(config: Mapping[str, Any]) -> RetryPolicy:
    """Return three attempts for a method that may be repeated, one for POST and PATCH.

    `config` is as its user saved it: a method that only a template tells may not be repeated.
    """
    method = str(config.get("httpMethod") or "GET").upper()
    return RetryPolicy(attempts=3 if method in IDEMPOTENT else 1)


@node("http", title="HTTP request", retry=default_retry)
async def http(config: HttpConfig, data: Any, context: NodeContext) -> Completed:
    """Send an HTTP request and pass its answer on.

    The output is the JSON of the answer, or `{"response": text}` if it is not JSON, with
    `"parseError": true` beside it if it claimed to be; `httpFullResponse` gives
    `{status, headers, body}`. One deadline covers connecting, redirects and the body.

    Fails with `http_timeout`, `http_connect`, `http_status`, `http_too_large`, `http_protocol`,
    `too_many_redirects` or `ssrf_blocked`. Failures in the middle of a request count as
    retryable for methods that may be repeated; where no connection was made, for all.
    """
    check_rendered(config, context.settings)
    call = first_call(config, data, context)
    seconds = config.timeout or context.settings.http_timeout
    try:
        async with asyncio.timeout(seconds):
            return await _exchange(config, call, context, httpx.Timeout(seconds))
    except (TimeoutError, httpx.TimeoutException):
        message = f"{_place(call)} did not answer in full within {seconds:g} seconds."
        raise NodeError(message, code="http_timeout", retryable=call.is_idempotent) from None
    except httpx.TransportError as error:
        raise _transport_failure(error, call) from None


async def _exchange(
    config: HttpConfig, call: Call, context: NodeContext, limits: httpx.Timeout
) -> Completed:
    started = time.monotonic()
    async with _final_answer(config, call, context, limits) as response:
        details = {
            "statusCode": response.status_code,
            "headers": shown_headers(response.headers),
            "url": shown_url(response.request.url),
        }
        if config.fail_on_status and response.status_code >= 400:
            raise await _status_failure(response, details)
        body = await read_body(response, context.settings.http_max_bytes)
    details["durationMs"] = round((time.monotonic() - started) * 1000)
    output = _output(config, response, body)
    return Completed(output, message=status_line(response.status_code), details=details)


@asynccontextmanager
async def _final_answer(
    config: HttpConfig, call: Call, context: NodeContext, limits: httpx.Timeout
) -> AsyncIterator[httpx.Response]:
    """Send a request, follow its redirects, and yield the answer with its body still unread."""
    for _ in range(MAX_REDIRECTS + 1):
        async with _sent(call, context.resources.http, limits) as response:
            location = response.headers.get("location")
            redirects = response.status_code in REDIRECTS and location is not None
            if not (config.follow_redirects and redirects):
                yield response
                return
        allowed = allowed_hosts(context.settings.http_allowed_hosts)
        call = call.redirected(response.status_code, location, allowed)
    message = f"{_place(call)} redirected more than {MAX_REDIRECTS} times."
    raise NodeError(message, code="too_many_redirects")


@asynccontextmanager
async def _sent(
    call: Call, client: httpx.AsyncClient, limits: httpx.Timeout
) -> AsyncIterator[httpx.Response]:
    """Send one request. The connection is closed unless the whole body was read."""
    headers = [(name.encode(), value.encode()) for name, value in call.headers]
    request = client.build_request(
        call.method, call.url, headers=headers, content=call.content, timeout=limits
    )
    try:
        response = await client.send(request, stream=True)
    except httpx.InvalidURL:  # httpx reads the target of a redirect that it does not follow
        message = "The answer redirects to a URL that is not valid."
        raise NodeError(message, code="url_invalid") from None
    try:
        if response.status_code < 200:
            raise NodeError("The server switched to another protocol.", code="http_protocol")
        yield response
    finally:
        await response.aclose()


def _output(config: HttpConfig, response: httpx.Response, body: bytearray) -> Any:
    value, is_json, parse_error = body_value(body, response.headers)
    flag = {"parseError": True} if parse_error else {}
    if config.full_response:
        headers = dict(response.headers)
        return {"status": response.status_code, "headers": headers, "body": value} | flag
    return value if is_json else {"response": value} | flag


async def _status_failure(response: httpx.Response, details: dict[str, Any]) -> NodeError:
    body = bytearray()
    with suppress(httpx.TransportError, NodeError):  # the status says more than its broken body
        body = await read_body(response, ERROR_BODY, cut=True)
    status = response.status_code
    return NodeError(
        f"The server answered {status_line(status)}.",
        code="http_status",
        retryable=status in RETRY_STATUS,
        retry_after=retry_after(response.headers),
        details=details | {"body": as_text(body, response.headers)},
    )


def _transport_failure(error: httpx.TransportError, call: Call) -> NodeError:
    """Tell in our words why there is no answer; httpx's may hold addresses of the network."""
    place = _place(call)
    if isinstance(error, httpx.ConnectError):
        if _is_untrusted(error):
            message = f"The certificate of {place} is not valid."
            return NodeError(message, code="http_connect")
        message = f"No connection to {place} could be made."
        return NodeError(message, code="http_connect", retryable=True)
    if isinstance(error, httpx.NetworkError):
        message = f"{place} broke the connection off."
        return NodeError(message, code="http_connect", retryable=call.is_idempotent)
    message = f"{place} broke the rules of HTTP, or ended its answer too early."
    return NodeError(message, code="http_protocol", retryable=call.is_idempotent)


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


def _place(call: Call) -> str:
    return f'"{shown_url(call.url).partition("?")[0][:200]}"'
