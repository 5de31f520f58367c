"""The `http` node and redirects: what is sent where, and where it does not go."""

from urllib.parse import quote

import pytest

from tests.servers.http_target import HttpTarget
from tests.unit.http_runner import Names, Wire, http_runner

BODY = {"a": 1}
SECRETS = {
    "Authorization": "Bearer hush",
    "Cookie": "session=hush",
    "X-Api-Key": "hush",
    "Accept-Language": "de",
}


def redirect(to: str, status: int = 302) -> str:
    return f"/redirect/{status}?to={quote(to, safe='')}"


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        *[(status, "GET", "GET") for status in (301, 302, 303, 307, 308)],
        *[(status, "HEAD", "HEAD") for status in (301, 302, 303, 307, 308)],
        *[(status, "POST", "GET") for status in (301, 302, 303)],
        *[(status, "POST", "POST") for status in (307, 308)],
        *[(status, "PUT", "PUT") for status in (301, 302, 307, 308)],
        *[(303, method, "GET") for method in ("PUT", "PATCH", "DELETE")],
    ],
)
async def test_method_and_body_after_a_redirect(status: int, method: str, then: str) -> None:
    # S-12
    async with HttpTarget() as target, http_runner() as node:
        done = await node.completed(target.url(redirect("/json", status)), BODY, httpMethod=method)
    first, second = target.requests
    assert (first.method, second.method, second.path) == (method, then, "/json")
    assert second.body == (first.body if then == method else b"")
    kept = {"content-type", "idempotency-key"} & set(first.headers) if then == method else set()
    assert {"content-type", "idempotency-key"} & set(second.headers) == kept
    assert done.details["url"] == target.url("/json")


@pytest.mark.parametrize("status", [302, 307])
async def test_secrets_stay_with_their_origin(status: int) -> None:
    # S-12
    auth = {"type": "header", "name": "X-Mine", "value": "hush"}
    config = {"httpHeaders": SECRETS, "httpAuth": auth, "httpMethod": "PUT"}
    async with HttpTarget() as home, HttpTarget() as other, http_runner() as node:
        await node.completed(home.url(redirect("/json", status)), BODY, **config)
        await node.completed(home.url(redirect(other.url("/json"), status)), BODY, **config)
    assert [request.headers.get("x-mine") for request in home.requests] == ["hush"] * 3
    (request,) = other.requests
    assert "hush" not in str(request.headers)
    assert request.headers["accept-language"] == "de"
    assert request.headers["host"] == other.host
    assert request.json() == BODY


async def test_secrets_do_not_come_back_with_a_redirect_home() -> None:
    # S-12
    async with HttpTarget() as home, HttpTarget() as other, http_runner() as node:
        back = other.url(redirect(home.url("/json")))
        await node.completed(home.url(redirect(back)), httpHeaders=SECRETS)
    assert "authorization" in home.requests[0].headers
    assert "authorization" not in home.requests[1].headers


@pytest.mark.parametrize(
    ("path", "requests"),
    [("/hops/20", 11), ("/hops/11", 11), (redirect("/hops/10"), 11)],
)
async def test_too_many_redirects(path: str, requests: int) -> None:
    # S-12
    async with HttpTarget() as target, http_runner() as node:
        failure = await node.failed(target.url(path))
    assert (failure.code, failure.retryable) == ("too_many_redirects", False)
    assert len(target.requests) == requests


async def test_a_redirect_loop_ends() -> None:
    # S-12
    async with HttpTarget() as target, http_runner() as node:
        assert (await node.failed(target.url("/redirect/302"))).code == "too_many_redirects"


async def test_ten_redirects_are_followed() -> None:
    # S-12
    async with HttpTarget() as target, http_runner() as node:
        done = await node.completed(target.url("/hops/10"))
    assert done.output["target"] == "/hops/0"


@pytest.mark.parametrize(
    ("to", "code"),
    [
        *[(url, "url_scheme") for url in ("file:///etc/passwd", "gopher://x/", "ftp://x/")],
        *[(url, "url_scheme") for url in ("data:/x", "unix:/x", "ws://127.0.0.1/")],
        *[(url, "ssrf_blocked") for url in ("http://10.0.0.1/", "//169.254.169.254/x")],
        *[(url, "ssrf_blocked") for url in ("http://[::1]/", "http://2130706433/", "//127.1/")],
        *[(url, "ssrf_blocked") for url in ("http://u:p@10.0.0.1/", "http://in.example/")],
        *[(url, "url_invalid") for url in ("http://u:p@127.0.0.1/", "http://exa%20mple/")],
        *[(url, "url_port") for url in ("http://127.0.0.1:0/", "http://127.0.0.1:70000/")],
        *[(url, "http_protocol") for url in ("http://127.0.0.1:x/", "http://x:y:z/")],
        *[(url, "url_invalid") for url in ("data:,x", "http://[/")],
    ],
)  # fmt: skip
async def test_where_a_third_hop_may_not_lead(to: str, code: str) -> None:
    # S-12
    async with HttpTarget() as target:
        names, wire = Names({"in.example": [["10.0.0.1"]]}), Wire(leads_to=target.port)
        async with http_runner(resolver=names, wire=wire) as node:
            failure = await node.failed(target.url(redirect(redirect(to))))
    assert failure.code == code
    assert (len(target.requests), set(wire.asked)) == (2, {"127.0.0.1"})


@pytest.mark.parametrize(
    "path",
    [
        "/answer?type=text/html&body=%3Cmeta+http-equiv%3Drefresh+content%3D0;url%3D/json%3E",
        "/answer?header=Refresh:0;url%3D/json",
        "/answer?status=304",
        "/answer?status=300&header=Location:/json",
        "/answer?status=302",
    ],
)
async def test_what_is_no_redirect_is_not_followed(path: str) -> None:
    # S-12
    async with HttpTarget() as target, http_runner() as node:
        await node.completed(target.url(path))
    assert len(target.requests) == 1


async def test_redirects_can_be_left_unfollowed() -> None:
    # S-12
    async with HttpTarget() as target, http_runner() as node:
        done = await node.completed(
            target.url(redirect("/json")), httpFollowRedirects=False, httpFullResponse=True
        )
    assert (done.output["status"], done.output["headers"]["location"]) == (302, "/json")
