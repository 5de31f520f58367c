"""Which addresses and URLs are open to a user's request."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigError
from tasks.net_guard import AllowedHosts, check_url, is_public, literal_address
from tests.unit.ssrf_urls import LITERALS, METADATA, SPOILT

NOTHING = AllowedHosts()


def codes(url: str, allowed: str = "") -> set[str]:
    return {problem.code for problem in check_url(url, AllowedHosts.parse(allowed))}


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1"),
        *("168.63.129.16", "169.254.169.254", "172.17.0.1", "192.0.0.8", "192.0.0.192"),
        *("192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "203.0.113.1"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:0:7f00:1"),
        *("::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1"),
        *("100::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "2002:7f00:1::", "3fff::1"),
        *("5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1"),
        "2606:4700::1111%1",
    ],
)
def test_addresses_that_are_closed(address: str) -> None:
    # S-11, S-13
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [*("1.1.1.1", "8.8.8.8", "93.184.216.34", "::ffff:8.8.8.8", "2606:4700::1111", "2a00::1")],
)
def test_addresses_that_are_open(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.ip_addresses(v=4))
@settings(max_examples=200, deadline=None)
def test_every_spelling_of_an_ipv4_address_is_read(address: IPv4Address) -> None:
    # S-11
    number = int(address)
    a, b, c, d = address.packed
    spellings = [
        *(str(address), f"{address}.", str(number), hex(number), f"0{number:o}"),
        *(f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}", f"{a:#x}.{b}.0{c:o}.{d}"),
        "".join(chr(ord(char) + 0xFEE0) if char.isdigit() else "。" for char in str(address)),
        "".join(f"%{ord(char):02x}" for char in str(address)),
    ]
    assert {literal_address(spelling) for spelling in spellings} == {address}


@given(st.ip_addresses(v=6))
@settings(max_examples=200, deadline=None)
def test_every_spelling_of_an_ipv6_address_is_read(address: IPv6Address) -> None:
    # S-11
    spellings = [str(address), f"[{address}]", address.exploded, address.exploded.upper()]
    assert {literal_address(spelling) for spelling in spellings} == {address}
    assert not is_public(ip_address(f"{address}%eth0"))


@pytest.mark.parametrize(
    "host", ["", ".", "1.2.3.4.5", "256.1.1.1", "4294967296", "08.1", "1..2", "a.b", "0xg", "::g"]
)
def test_names_are_no_addresses(host: str) -> None:
    assert literal_address(host) is None


# S-11, B098
@pytest.mark.parametrize("url", LITERALS)
def test_spelt_out_private_addresses_are_blocked(url: str) -> None:
    assert "url_blocked" in codes(url.format(port=8080))


# S-11
@pytest.mark.parametrize("url", SPOILT)
def test_urls_that_hide_their_host_are_refused(url: str) -> None:
    assert codes(url.format(port=8080))


# S-13, B098
@pytest.mark.parametrize("url", METADATA)
def test_metadata_services_are_blocked(url: str) -> None:
    assert codes(url) == {"url_blocked"}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        # B096
        *[
            (url, "url_invalid")
            for url in ("", "/path", "example.com", "//example.com/", "http:/x")
        ],
        *[(url, "url_invalid") for url in ("http://", "http:///x", "https://:80/", "?a=b", "http")],
        # B097
        *[(url, "url_scheme") for url in ("file:///etc/passwd", "gopher://x/", "ftp://x/")],
        *[(url, "url_scheme") for url in ("data:,x", "unix:/x", "javascript:1", "ws://x/")],
        # B099
        ("http://example.com/" + "a" * 10_240, "url_invalid"),
        *[(f"http://example.com/{c}x", "url_invalid") for c in "\r\n\t \x00\x7f\u3000\\\ud800"],
        *[(f"http://{u}@example.com/", "url_invalid") for u in ("user", "user:secret", ":", "")],
        *[(f" http://example.com/{s}", "url_invalid") for s in ("", " ")],
        # B100
        *[(f"http://example.com:{p}/", "url_port") for p in ("0", "65536", "-1", "80a", "8_0")],
        *[
            (f"http://example.com:{p}/", "url_port")
            for p in ("+80", "\uff19\uff19", "99999999999", "80:80")
        ],
        # no valid host
        *[(f"http://{host}/", "url_invalid") for host in ("a..b", "exa%20mple", "a" * 64, "[x]")],
        *[(f"http://{host}/", "url_invalid") for host in ("☃" * 80, "a*b", "'", "256.1.1.1")],
    ],
)
def test_urls_that_are_not_valid(url: str, code: str) -> None:
    assert codes(url) == {code}


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com", "HTTPS://Example.COM:8443/a?b=c&d=%20#e", "http://example.com:/"),
        *("https://bücher.example/ü?q=ä", "https://xn--bcher-kva.example/", "http://a_b.example/"),
        *("http://8.8.8.8/", "https://[2606:4700::1111]:443/", "http://example.com./@x:y"),
        *("http://example.com?to=http://127.0.0.1/", "http://localhost.example.com/"),
    ],
)
def test_urls_that_are_valid(url: str) -> None:
    assert check_url(url, NOTHING) == []


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9999/"),
        ("10.0.0.1, 127.0.0.1:80", "http://127.0.0.1/"),
        ("localhost:8080", "http://LOCALHOST:8080/"),
        ("[::1]:8080", "http://[::1]:8080/"),
        ("::1", "http://[::1]/"),
        ("metadata.google.internal", "http://metadata.google.internal/"),
    ],
)
def test_a_setting_opens_hosts(setting: str, url: str) -> None:
    assert codes(url) == {"url_blocked"}
    assert codes(url, setting) == set()


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8081/"),
        ("127.0.0.1:80", "https://127.0.0.1/"),
        ("127.0.0.1", "http://127.0.0.2/"),
        ("127.0.0.1", "http://2130706433/"),
        ("localhost", "http://sub.localhost/"),
        ("example.com", "http://127.0.0.1/"),
    ],
)
def test_a_setting_opens_nothing_else(setting: str, url: str) -> None:
    assert "url_blocked" in codes(url, setting)


@pytest.mark.parametrize("entry", ["*", "http://x", "a b", "x:0", "x:99999", "u@x", "x/y", "a..b"])
def test_a_setting_that_cannot_be_read_is_explained(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"HTTP_ALLOWED_HOSTS.*Example"):
        AllowedHosts.parse(f"127.0.0.1,{entry}")


def test_the_sentence_names_the_host_and_the_setting() -> None:
    (problem,) = check_url("http://10.1.2.3/x?secret=y", NOTHING)
    assert "10.1.2.3" in problem.message
    assert "HTTP_ALLOWED_HOSTS" in problem.message
    assert "secret" not in problem.message


@given(
    st.text(max_size=40), st.sampled_from(["", "http://", "https://x", "http://127.0.0.1", "h:"])
)
@settings(max_examples=300, deadline=None)
def test_any_text_gets_an_answer(text: str, before: str) -> None:
    # B099
    assert {p.code for p in check_url(before + text, NOTHING)} <= {
        *("url_invalid", "url_scheme", "url_port", "url_blocked")
    }
