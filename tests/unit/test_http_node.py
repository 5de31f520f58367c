"""The `http` node against a real server: what it sends, and what it makes of the answer."""

import base64
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from core.errors import Failure
from tasks.http_response import retry_after
from tasks.outcomes import Completed
from tests.servers.http_target import HttpTarget
from tests.unit.http_runner import http_runner


async def test_a_get_request() -> None:
    # R003-17
    async with HttpTarget() as target, http_runner() as node:
        done = await node.completed(target.url("/json?key=k&token=hush"), {"some": "input"})
    (request,) = target.requests
    assert (request.method, request.body) == ("GET", b"")
    assert request.headers["user-agent"].startswith("Cauce/")
    assert not {"idempotency-key", "content-type"} & set(request.headers)
    assert (done.output, done.ports, done.message) == ({"ok": True}, ("out",), "200 OK")
    assert done.details["statusCode"] == 200
    assert done.details["headers"]["content-type"] == "application/json"
    assert done.details["url"] == target.url("/json?key=***&token=***")
    assert 0 <= done.details["durationMs"] < 5000


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_the_input_is_sent_as_json(method: str) -> None:
    # R003-17
    data = {"falsy": [0, False, "", None, {}], "big": 2**70, "text": "ü\u2028"}
    async with HttpTarget() as target, http_runner() as node:
        await node.completed(target.url("/echo"), data, httpMethod=method)
    (request,) = target.requests
    assert (request.method, request.json()["falsy"]) == (method, data["falsy"])
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("config", "data"),
    [
        *(({"httpMethod": method}, {"a": 1}) for method in ("GET", "HEAD", "OPTIONS", "DELETE")),
        ({"httpMethod": "POST", "httpSendInput": False}, {"a": 1}),
        ({"httpMethod": "POST"}, None),
    ],
)
async def test_no_body(config: dict[str, Any], data: Any) -> None:
    async with HttpTarget() as target, http_runner() as node:
        await node.completed(target.url(), data, **config)
    assert target.requests[0].body == b""
    assert "content-type" not in target.requests[0].headers


@pytest.mark.parametrize(
    ("config", "body", "content_type"),
    [
        ({"httpBody": {"a": [1, None]}}, b'{"a":[1,null]}', "application/json"),
        ({"httpBody": 0}, b"0", "application/json"),
        ({"httpBody": "ü"}, "ü".encode(), "text/plain; charset=utf-8"),
        ({"httpBody": "x", "httpBodyType": "json"}, b'"x"', "application/json"),
        ({"httpBody": {"a": 1}, "httpBodyType": "text"}, b'{"a":1}', "text/plain; charset=utf-8"),
        ({"httpBody": "<a/>", "httpHeaders": {"content-type": "text/xml"}}, b"<a/>", "text/xml"),
        (
            {"httpBody": {"a": "x y&", "b": [1, True], "c": {"d": None}}, "httpBodyType": "form"},
            b"a=x+y%26&c=%7B%22d%22%3Anull%7D&b=1&b=true",
            "application/x-www-form-urlencoded",
        ),
    ],
)
async def test_bodies(config: dict[str, Any], body: bytes, content_type: str) -> None:
    async with HttpTarget() as target, http_runner() as node:
        await node.completed(target.url(), {"not": "sent"}, httpMethod="POST", **config)
    assert target.requests[0].body == body
    assert target.requests[0].headers["content-type"] == content_type


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("data", [{"a": math.nan, "b": 2**70}, b"bytes", {1, 2}, nested(5000)])
async def test_an_input_that_is_no_json_fails_the_node(data: Any) -> None:
    async with HttpTarget() as target, http_runner() as node:
        failure = await node.failed(target.url(), data, httpMethod="POST")
    assert (failure.code, failure.retryable, target.connections) == ("body_invalid", False, 0)


async def test_a_delete_can_send_the_input() -> None:
    async with HttpTarget() as target, http_runner() as node:
        await node.completed(target.url(), [1], httpMethod="DELETE", httpSendInput=True)
    assert target.requests[0].body == b"[1]"


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ({"a": 1, "b": [True, None, "x y"], "c": 2.0}, "/json?a=1&b=true&b=&b=x+y&c=2"),
        ({"q": "ä&=#"}, "/json?q=%C3%A4%26%3D%23"),
        ({}, "/json?q=old%20one"),
    ],
)
async def test_queries(query: dict[str, Any], sent: str) -> None:
    async with HttpTarget() as target, http_runner() as node:
        path = "/json?q=old%20one" if not query or "q" in query else "/json"
        await node.completed(target.url(path), httpQuery=query)
    assert target.requests[0].target == sent


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (
            {"type": "basic", "username": "ü", "password": "p:w"},
            "authorization",
            f"Basic {base64.b64encode('ü:p:w'.encode()).decode()}",
        ),
        ({"type": "bearer", "token": " abc\t"}, "authorization", "Bearer abc"),
        ({"type": "header", "name": "X-Api-Key", "value": "kéy"}, "x-api-key", "kéy"),
    ],
)
async def test_authorization(auth: dict[str, Any], header: str, value: str) -> None:
    async with HttpTarget() as target, http_runner() as node:
        await node.completed(target.url(), httpAuth=auth)
    assert target.requests[0].headers[header] == value


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_every_attempt_carries_the_same_idempotency_key(method: str) -> None:
    # P12
    async with HttpTarget() as target, http_runner() as node:
        config = {"httpUrl": target.url(), "httpMethod": method}
        for _ in range(2):
            await node.outcome(config, 1, node_id="Nö 1\r\n")
        await node.outcome({**config, "httpHeaders": {"idempotency-key": "mine"}}, 1)
    keys = [request.headers["idempotency-key"] for request in target.requests]
    assert keys == ["execution-1.N%C3%B6%201%0D%0A.0"] * 2 + ["mine"]


def answer(body: str, content_type: str = "", **more: str) -> str:
    parameters = {"body": body, "type": content_type, **more}
    return "/answer?" + "&".join(f"{k}={quote(v, safe='')}" for k, v in parameters.items())


JSON = "application/json"
DEEP = "[" * 400 + "]" * 400


@pytest.mark.parametrize(
    ("path", "output"),
    [
        # R003-17
        (answer("null", JSON), None),
        (answer('"text"', JSON), "text"),
        (answer("0", "application/problem+json; charset=UTF-8"), 0),
        (answer('\u00ef\u00bb\u00bf{"bom":1}', JSON), {"bom": 1}),
        (answer('{"a":"\u00fc"}', f"{JSON}; charset=latin-1"), {"a": "ü"}),
        (answer(' [{"a":1}]', "text/plain"), [{"a": 1}]),
        (answer('{"a":1}'), {"a": 1}),
        (answer("12", "text/plain"), {"response": "12"}),
        (answer("<p>{}</p>", "text/html"), {"response": "<p>{}</p>"}),
        (answer("[not json", "text/plain"), {"response": "[not json"}),
        (answer("", JSON), {"response": ""}),
        ("/empty", {"response": ""}),
        # B135
        (answer("{broken", JSON), {"response": "{broken", "parseError": True}),
        (answer('{"a":NaN}', JSON), {"response": '{"a":NaN}', "parseError": True}),
        (answer("[1e999]", JSON), {"response": "[1e999]", "parseError": True}),
        (answer('"\\ud800"', JSON), {"response": '"\\ud800"', "parseError": True}),
        (answer('"\u00ff"', JSON), {"response": '"\ufffd"', "parseError": True}),
        (answer(DEEP, JSON), {"response": DEEP, "parseError": True}),
        (answer("<html>", JSON), {"response": "<html>", "parseError": True}),
        (answer("\u00ff\u00fe", "text/plain"), {"response": "\ufffd\ufffd"}),
        (answer("\u00e4", "text/plain; charset=ISO-8859-1"), {"response": "ä"}),
        *[
            (answer("a\u00e4", f"text/plain; charset={charset}"), {"response": "a\ufffd"})
            for charset in ("none", "punycode", "idna", "zlib", "undefined", "'", "\u00fc", "ascii")
        ],
    ],
)  # fmt: skip
async def test_answers(path: str, output: Any) -> None:
    async with HttpTarget() as target, http_runner() as node:
        assert (await node.completed(target.url(path))).output == output


@pytest.mark.parametrize(
    ("path", "body", "more"),
    [
        (answer('{"a":1}', JSON), {"a": 1}, {}),
        (answer("hello", "text/plain"), "hello", {}),
        (answer("{", JSON), "{", {"parseError": True}),
    ],
)
async def test_the_full_response(path: str, body: Any, more: dict[str, Any]) -> None:
    async with HttpTarget() as target, http_runner() as node:
        url = target.url(path + "&status=201&header=X-One:1&header=Set-Cookie:a%3Db")
        done = await node.completed(url, httpFullResponse=True)
    headers = done.output["headers"]
    assert (headers["x-one"], headers["set-cookie"]) == ("1", "a=b")
    assert done.output == {"status": 201, "headers": headers, "body": body, **more}
    assert "set-cookie" not in done.details["headers"]
    assert done.message == "201 Created"


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        *((status, True) for status in (408, 425, 429, 500, 502, 503, 504)),
        *((status, False) for status in (400, 401, 404, 409, 418, 422, 501, 599)),
    ],
)
async def test_a_status_that_fails_the_node(status: int, retryable: bool) -> None:
    # P12, R003-17
    async with HttpTarget() as target, http_runner() as node:
        url = target.url(f"/status/{status}?body={'x' * 3000}")
        failure = await node.failed(url)
        kept = await node.completed(url, httpFailOnStatus=False)
    assert (failure.code, failure.retryable) == ("http_status", retryable)
    assert str(status) in failure.message
    assert failure.details["statusCode"] == status
    assert failure.details["body"] == "x" * 2048
    assert kept.output == {"response": "x" * 3000}
    assert kept.details["statusCode"] == status


async def test_a_busy_server_says_when_to_come_back() -> None:
    # P12
    async with HttpTarget() as target, http_runner() as node:
        failure = await node.failed(target.url("/busy?after=7"))
        assert isinstance(await node.outcome({"httpUrl": target.url("/busy?after=7")}), Completed)
    assert (failure.code, failure.retryable, failure.retry_after) == ("http_status", True, 7.0)
    assert target.count("/busy") == 2


NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *(("0", 0), ("120", 120), (" 5 ", 5), ("9" * 50, 9_999_999_999)),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        *((text, None) for text in ("", "-1", "1.5", "soon", "²", "Mon, 99 Jan 2030 00:00:00 GMT")),
    ],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    assert retry_after(httpx.Headers([(b"Retry-After", header.encode())]), NOW) == seconds


async def test_a_saved_url_that_is_closed_at_run_time() -> None:
    # B098, S-11
    async with HttpTarget() as target, http_runner() as node:
        config = {"httpUrl": target.url()}
        outcome = await node.closed().outcome(config)
    assert isinstance(outcome, Failure)
    assert (outcome.code, outcome.retryable, target.connections) == ("ssrf_blocked", False, 0)
