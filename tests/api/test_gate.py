"""What every request passes: sizes, hosts, origins, the key; and the headers of every answer."""

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from config import Settings
from tests.api.conftest import problem
from tests.servers.api_server import ApiServer, api_server

PAGE = "https://app.example.com"
EVIL = ["https://evil.example", "null", f"{PAGE}.evil.example", "https://x.app.example.com"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API with a key, for one page, reachable from outside."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("guarded"),
        api_host="0.0.0.0",
        api_key=SecretStr("the-kéy"),
        cors_origins=PAGE,
        _env_file=None,
    )
    with api_server(settings) as found:
        yield found


def bearer(key: str) -> dict[bytes, bytes]:
    return {b"Authorization": f"Bearer {key}".encode()}


def test_every_answer_has_the_headers(client: httpx.Client) -> None:
    # S-30, R003-11
    for path in ("/", "/api/node-types", "/api/executions/none", "/nowhere"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert len(headers["x-request-id"]) == 16
        assert "access-control-allow-origin" not in headers


def test_markup_is_never_more_than_text(server: ApiServer) -> None:
    # S-30
    script = "<script>alert(1)</script>"
    workflow_id = server.save(name=script)
    answer = server.client.get(f"/api/workflows/{workflow_id}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["name"] == script


def test_a_body_that_says_it_is_too_large_is_not_read(server: ApiServer) -> None:
    # B026, B039, S-60
    head = b"POST /api/workflows HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = server.raw(head + b"Expect: 100-continue\r\nContent-Length: 52428800\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer


def test_a_body_without_a_length_is_read_up_to_the_limit(server: ApiServer) -> None:
    # B027, S-60
    head = b"POST /api/workflows HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = server.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 5)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


RAW = [
    ("B029", b"Content-Length: -1\r\n"),
    ("B029", b"Content-Length: 1\r\nContent-Length: 2\r\n"),
    ("B030", b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
    ("B038", b"\x16\x03\x01\r\n"),
    (
        "B023",
        b"Content-Type: application/json\r\ncontent-type: text/plain\r\nConnection: close\r\n",
    ),
    ("B037", b"Host: localhost\r\nConnection: close\r\n"),
]


@pytest.mark.parametrize(("row", "header"), RAW)
def test_ambiguous_requests_are_refused(server: ApiServer, row: str, header: bytes) -> None:
    # B023, B029, B030, B037, B038, S-64
    answer = server.raw(b"POST /api/workflows HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n{")
    assert answer.startswith(b"HTTP/1.1 400 "), row


def test_headers_and_addresses_have_limits(client: httpx.Client) -> None:
    # B033, B034, S-63
    problem(client.get("/", headers={"X-Long": "a" * 100_000}), 431, "headers_too_large")
    many = [(f"X-{number}", "a" * 20) for number in range(3000)]
    problem(client.get("/", headers=many), 431, "headers_too_large")
    # What the protocol's own parser refuses before us is refused as well.
    assert client.get("/" + "a" * 60_000).status_code in (400, 414)
    problem(client.get("/api/executions?" + "a=1&" * 5000), 414, "address_too_long")


def test_methods_are_those_of_the_address(client: httpx.Client) -> None:
    # B035
    answer = client.request("TRACE", "/")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"
    answer = client.patch("/api/workflows/some")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "DELETE, GET, PUT"
    problem(client.get("/api/nothing"), 404, "not_found")


def test_json_is_answered_whatever_is_asked_for(client: httpx.Client) -> None:
    # B036
    answer = client.get("/", headers={"Accept": "application/xml"})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil/health?", "localhost:x", "", "a b", "[::2]"]
)
def test_a_service_of_this_machine_has_its_names_only(client: httpx.Client, host: str) -> None:
    # B037, S-45
    problem(client.get("/health", headers={"Host": host}), 400, "host_invalid")


@pytest.mark.parametrize(
    "host", ["localhost:9", "LOCALHOST", "127.0.0.1", "[::1]:80", "a.localhost"]
)
def test_every_name_of_this_machine_is_fine(client: httpx.Client, host: str) -> None:
    # B037
    assert client.get("/health", headers={"Host": host}).status_code == 200


def test_a_request_without_a_host_is_refused(server: ApiServer) -> None:
    # B037
    answer = server.raw(b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_an_open_service_takes_any_host(guarded: ApiServer) -> None:
    # B037
    assert guarded.client.get("/health", headers={"Host": "cauce.example"}).status_code == 200


@pytest.mark.parametrize("origin", EVIL)
def test_foreign_pages_get_nothing(guarded: ApiServer, origin: str) -> None:
    # S-33, S-35
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = guarded.client.options("/api/workflows", headers=asked)
    read = guarded.client.get("/health", headers={"Origin": origin})
    write = guarded.client.post(
        "/api/executions/x/cancel", headers={b"Origin": origin.encode(), **bearer("the-kéy")}
    )
    problem(preflight, 403, "origin_forbidden")
    problem(write, 403, "origin_forbidden")
    for answer in (preflight, read, write):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_named_page_may_call(guarded: ApiServer) -> None:
    # S-33, R003-33
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    preflight = guarded.client.options("/api/workflows/execute", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert "Content-Type" in preflight.headers["access-control-allow-headers"]
    read = guarded.client.get("/health", headers={"Origin": PAGE})
    assert read.headers["access-control-allow-origin"] == PAGE
    assert read.headers["vary"] == "Origin"
    refused = guarded.client.get("/api/executions", headers={"Origin": PAGE})
    problem(refused, 401, "unauthorized")
    assert refused.headers["access-control-allow-origin"] == PAGE  # so that the page can say why


def test_any_page_is_never_given_credentials(tmp_path: Path) -> None:
    # S-33
    with api_server(Settings(data_dir=tmp_path, cors_origins="*", _env_file=None)) as server:
        headers = server.client.get("/", headers={"Origin": EVIL[0]}).headers
    assert headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in headers


def test_the_services_own_page_may_write(server: ApiServer) -> None:
    # S-35
    origin = {"Origin": f"http://127.0.0.1:{server.port}"}
    problem(server.client.post("/api/executions/x/cancel", headers=origin), 404, "not_found")


WRONG_KEYS: list[dict[bytes, bytes]] = [
    {},
    {b"Authorization": b""},
    {b"Authorization": b"Bearer"},
    {b"Authorization": b"Bearer null"},
    {b"Authorization": b"Basic dGhlLWvDqXk="},
    {b"Authorization": b"Bearer the-k"},
    {b"X-API-Key": b""},
    {b"X-API-Key": b"[]"},
    {b"X-API-Key": b"{}"},
    {b"X-API-Key": b"the-key" * 1000},
    {b"X-API-Key": "the-kéy".encode("latin-1")},
]


@pytest.mark.parametrize("headers", WRONG_KEYS)
def test_a_wrong_key_opens_nothing(guarded: ApiServer, headers: dict[bytes, bytes]) -> None:
    # S-43
    for path in ("/api/executions", "/docs", "/openapi.json", "/nowhere"):
        answer = guarded.client.get(path, headers=headers)
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_the_key_opens_in_either_header(guarded: ApiServer) -> None:
    # S-43
    for headers in (bearer("the-kéy"), {b"X-API-Key": "the-kéy".encode()}):
        assert guarded.client.get("/api/executions", headers=headers).status_code == 200


OPEN = ["/", "/health", "/ready"]
CLOSED = [
    "/health/",
    "//health",
    "/api/health",
    "/health;x",
    "/./health",
    "/health%2f",
    "/%68ealth",
    "/ready/configs",
    "/api/executions?x=/health",
]


@pytest.mark.parametrize("target", [*OPEN, *CLOSED])
def test_only_three_addresses_are_open(guarded: ApiServer, target: str) -> None:
    # S-45
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nX-Original-URL: /health\r\n"
    answer = guarded.raw(request.encode() + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ") is (target in CLOSED), answer


def test_an_open_address_is_open_for_reading_only(guarded: ApiServer) -> None:
    # S-45
    problem(guarded.client.post("/health"), 401, "unauthorized")


def test_a_fresh_install_wants_a_key_before_it_is_open() -> None:
    # S-48
    assert Settings(_env_file=None).api_host == "127.0.0.1"
    with pytest.raises(ValueError, match="API_KEY"):
        Settings(api_host="0.0.0.0", _env_file=None)


def test_a_fault_of_ours_is_logged_and_gives_nothing_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # S-51: the tables vanish under the service
    with api_server(Settings(data_dir=tmp_path, _env_file=None)) as server:
        server.sql("ALTER TABLE workflow_executions RENAME COLUMN reason TO other")
        with caplog.at_level(logging.CRITICAL, logger="nothing"):
            answer = server.client.get("/api/executions/x")
    found = problem(answer, answer.status_code, answer.json()["code"])
    assert answer.status_code >= 500
    for secret in ("sqlite", "SELECT", "reason", str(tmp_path)):
        assert secret not in answer.text
    assert found["detail"]
