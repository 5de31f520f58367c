"""The guarded client: where it connects, whatever it is asked for."""

import asyncio
import datetime
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config import Settings
from core.errors import NodeError
from tasks.http_client import GuardedBackend, SystemResolver, guarded_client
from tasks.net_guard import AllowedHosts
from tests.servers.http_target import HttpTarget
from tests.unit.http_runner import Names, Wire
from tests.unit.ssrf_urls import LITERALS, METADATA, SPOILT

PUBLIC, PRIVATE = "93.184.216.34", "10.0.0.7"


def settings(allowed: str = "") -> Settings:
    return Settings(http_allowed_hosts=allowed, http_timeout=5)


async def test_no_disguise_gets_a_packet_through() -> None:
    # S-11, S-13: past all checks of the URL's text, the client alone
    names = Names({key: [["127.0.0.1"]] for key in ("localhost", "localhost.", "a.localhost")})
    wire = Wire()
    async with HttpTarget() as target, guarded_client(settings(), names, wire) as client:
        for url in (*LITERALS, *METADATA, *SPOILT):
            with pytest.raises((NodeError, httpx.InvalidURL, httpx.TransportError)):
                await client.get(url.format(port=target.port))
        assert (wire.asked, target.connections) == ([], 0)


async def test_a_blocked_address_is_named_with_the_setting_that_opens_it() -> None:
    # S-11
    async with guarded_client(settings()) as client:
        with pytest.raises(NodeError) as caught:
            await client.get("http://127.0.0.1:1/")
    failure = caught.value.failure
    assert (failure.code, failure.retryable) == ("ssrf_blocked", False)
    assert '"127.0.0.1"' in failure.message
    assert "HTTP_ALLOWED_HOSTS" in failure.message


async def test_ten_thousand_rebindings_never_reach_the_private_address() -> None:
    # S-14
    names, wire = Names({"re.example": [[PUBLIC], [PRIVATE]]}), Wire()
    backend = GuardedBackend(AllowedHosts(), names, wire)
    refused = 0
    for _ in range(10_000):
        try:
            await backend.connect_tcp("re.example", 80)
        except NodeError:
            refused += 1
        except httpcore.ConnectError:
            pass
    assert (refused, set(wire.asked), len(wire.asked)) == (5000, {PUBLIC}, 5000)


async def test_rebinding_between_requests_of_one_client() -> None:
    # S-14
    names = Names({"re.example": [[PUBLIC], [PRIVATE], ["::1"]]})
    async with HttpTarget() as target:
        wire = Wire(leads_to=target.port)
        async with guarded_client(settings(), names, wire) as client:
            for _ in range(10):
                answer = await client.get("http://re.example/json", headers={"Connection": "close"})
                assert answer.json() == {"ok": True}
                for _ in ("IPv4", "IPv6"):
                    with pytest.raises(NodeError, match=r"re\.example"):
                        await client.get("http://re.example/json")
    assert wire.asked == [PUBLIC] * 10
    assert {request.headers["host"] for request in target.requests} == {"re.example"}


@pytest.mark.parametrize(
    "addresses",
    [
        [PUBLIC, "::1"],
        [PUBLIC, "fd00::1"],
        ["127.0.0.1"],
        [*["1.1.1.1"] * 99, PRIVATE],
        ["fe80::1%eth0"],
        ["not an address"],
        ["::ffff:10.0.0.1"],
    ],
    ids=["mixed", "ula", "alias-of-localhost", "hundredth", "zone", "nonsense", "mapped"],
)
async def test_one_forbidden_address_refuses_the_name(addresses: list[str]) -> None:
    # S-15
    wire = Wire()
    async with guarded_client(settings(), Names({"x.example": [addresses]}), wire) as client:
        with pytest.raises(NodeError, match=r"x\.example"):
            await client.get("http://x.example/")
    assert wire.asked == []


async def test_only_a_few_of_many_addresses_are_tried() -> None:
    # S-15
    many = [f"93.184.216.{n}" for n in range(100)]
    wire = Wire()
    async with guarded_client(settings(), Names({"x.example": [many]}), wire) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://x.example/")
    assert wire.asked == many[:4]


async def test_a_name_that_is_unknown_or_impossible_is_a_failure_to_connect() -> None:
    # S-15
    async with guarded_client(settings(), Names({})) as client:
        for host in ("nowhere.example", f"{'a' * 300}.example"):
            with pytest.raises(httpx.ConnectError):
                await client.get(f"http://{host}/")


class Silent:
    async def resolve(self, _host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []


async def test_a_slow_name_server_is_a_timeout() -> None:
    # S-15
    async with guarded_client(settings(), Silent()) as client:
        with pytest.raises(httpx.ConnectTimeout):
            await client.get("http://slow.example/", timeout=0.05)


class Unreachable(Wire):
    async def connect_tcp(
        self, host: str, port: int, *options: Any, **more: Any
    ) -> httpcore.AsyncNetworkStream:
        if host == "93.184.216.1":
            self.asked.append(f"{host} for {options[0]:.1f} s")
            raise httpcore.ConnectTimeout("no answer")
        return await super().connect_tcp(host, port, *options, **more)


async def test_an_address_that_does_not_answer_leaves_time_for_the_next() -> None:
    async with HttpTarget() as target:
        wire = Unreachable(leads_to=target.port)
        names = Names({"x.example": [["93.184.216.1", "93.184.216.2"]]})
        async with guarded_client(settings(), names, wire) as client:
            assert (await client.get("http://x.example/json")).is_success
    assert wire.asked == ["93.184.216.1 for 2.5 s", "93.184.216.2"]


async def test_a_setting_opens_a_name_whatever_it_resolves_to() -> None:
    names = Names({"intranet.example": [["127.0.0.1"]]})
    async with HttpTarget() as target:
        url = f"http://intranet.example:{target.port}/json"
        open_ = settings(f"intranet.example:{target.port}")
        async with guarded_client(open_, names) as client:
            assert (await client.get(url)).json() == {"ok": True}
            with pytest.raises(NodeError):
                await client.get("http://intranet.example:1/")
            with pytest.raises(NodeError):
                await client.get(target.url())


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    # S-11
    async with HttpTarget() as proxy, HttpTarget() as target:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(""))
        async with guarded_client(settings("127.0.0.1")) as client:
            assert (await client.get(target.url())).is_success
        assert (proxy.connections, target.connections) == (0, 1)


async def test_cookies_and_redirects_are_left_alone() -> None:
    # S-16: the client is shared, and a jar would carry one user's session to another
    async with HttpTarget() as target, guarded_client(settings("127.0.0.1")) as client:
        many = "".join(f"&header=Set-Cookie:c{n}%3D{'x' * 100}" for n in range(200))
        assert (await client.get(target.url(f"/answer?body=x{many}"))).is_success
        assert (await client.get(target.url("/redirect/302?to=/json"))).status_code == 302
        assert not client.cookies
        assert all("cookie" not in request.headers for request in target.requests)


async def test_no_local_socket() -> None:
    backend = GuardedBackend(AllowedHosts(), SystemResolver(), Wire())
    with pytest.raises(NodeError):
        await backend.connect_unix_socket("/run/service.sock")


async def test_the_system_resolver_reads_addresses() -> None:
    assert list(await SystemResolver().resolve("127.0.0.1", 80)) == ["127.0.0.1"]


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return public, private


async def test_tls_keeps_the_name_while_the_connection_goes_to_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # S-14: SNI and Host keep the name; SSL_CERT_FILE brings the authorities of an intranet
    public, private = certificate(tmp_path, "secure.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    asked: list[str | None] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    names = Names({"secure.example": [[PUBLIC]], "other.example": [[PUBLIC]]})
    async with HttpTarget(tls=context) as target:
        wire = Wire(leads_to=target.port)
        async with guarded_client(settings(), names, wire) as client:
            assert (await client.get("https://secure.example/json")).json() == {"ok": True}
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get("https://other.example/json")
    assert asked == ["secure.example", "other.example"]
    assert [request.headers["host"] for request in target.requests] == ["secure.example"]
    assert wire.asked == [PUBLIC, PUBLIC]
