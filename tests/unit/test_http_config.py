"""The configuration of the `http` node as its user saves it."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import Settings
from core.errors import NodeError
from core.policy import RetryPolicy
from tasks.config_check import check_config
from tasks.http import default_retry
from tasks.http_config import HttpConfig, check_rendered
from tasks.registry import BUILT_IN
from tests.unit.http_runner import allowing

URL = "https://api.example/v1"


def found(**config: Any) -> list[tuple[str, str]]:
    """Return the codes and places of what is wrong."""
    return [(problem.code, problem.pointer) for problem in check_config(HttpConfig, config)]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        # B096
        *[(url, "url_invalid") for url in ("", "/path", "api.example", "//api.example")],
        # B097
        *[(f"{s}:x", "url_scheme") for s in ("file", "gopher", "ftp", "data", "unix", "ws")],
        ("javascript:alert(1)", "url_scheme"),
        # B098
        *[(f"http://{host}/", "url_blocked") for host in ("127.1", "10.0.0.1", "[::1]", "0")],
        ("http://169.254.169.254/latest", "url_blocked"),
        # B099
        ("https://api.example/" + "a" * 10_240, "url_invalid"),
        ("https://api.example/\r\nX: y", "url_invalid"),
        ("https://api.example/a b", "url_invalid"),
        ("https://me:secret@api.example/", "url_invalid"),
        # B100
        *[(f"https://api.example:{p}/", "url_port") for p in ("0", "65536", "-1", "80a")],
        (5, "type_string_expected"),
        (None, "type_string_expected"),
    ],
)
def test_bad_urls(url: Any, code: str) -> None:
    assert found(httpUrl=url) == [(code, "/httpUrl")]


def test_a_missing_url_is_not_valid() -> None:
    # B096
    assert found() == [("url_invalid", "/httpUrl")]


def test_an_allowed_host_can_be_saved() -> None:
    # B098
    with allowing("127.0.0.1:9000"):
        assert found(httpUrl="http://127.0.0.1:9000/") == []
    assert found(httpUrl="http://127.0.0.1:9000/") == [("url_blocked", "/httpUrl")]


def test_templates_are_checked_when_they_are_rendered() -> None:
    config = {
        "httpUrl": "{{ base }}/x",
        "httpMethod": "{{ method }}",
        "httpHeaders": {"X-Id": "{{ id }}", "{{ name }}": "v"},
        "httpTimeout": "{{ seconds }}",
        "httpAuth": {"type": "header", "name": "{{ name }}", "value": "{{ token }}"},
        "httpBody": "{{ input }}",
    }
    assert found(**config) == []


@pytest.mark.parametrize(
    "method", ["G\r\nET", "CONNECT", "TRACE", "get", "Post", "X" * 200, 5, None, ["GET"]]
)
def test_bad_methods(method: Any) -> None:
    # B101
    assert found(httpUrl=URL, httpMethod=method) == [("method_invalid", "/httpMethod")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, "v") for name in ("", "X:Y", "X Y", "X\r\nY", "X\x00", "Ünicode", "X" * 300)],
        *[("X", value) for value in ("a\r\nb: c", "a\nb", "a\x00", "a\x7f", "\ud800", "v\r\n")],
        *[("X", value) for value in (None, ["a"], {"a": 1}, "a" * 2**20, "é" * 5000)],
    ],
)
def test_bad_headers(name: str, value: Any) -> None:
    # B102, B104
    expected = [("header_invalid", "/httpHeaders")]
    assert found(httpUrl=URL, httpHeaders={name: value}) == expected
    assert found(httpUrl=URL, httpHeaders=[{"key": name, "value": value}]) == expected


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "CONNECTION"])
def test_forbidden_headers(name: str) -> None:
    # B103
    for headers in ({name: "x"}, [{"key": name, "value": "x"}]):
        assert found(httpUrl=URL, httpHeaders=headers) == [("header_forbidden", "/httpHeaders")]


def test_too_many_headers() -> None:
    # B104
    assert found(httpUrl=URL, httpHeaders={f"X-{n}": "v" for n in range(100)}) == []
    for count in (101, 1000):
        headers = {f"X-{n}": "v" for n in range(count)}
        assert found(httpUrl=URL, httpHeaders=headers) == [("header_invalid", "/httpHeaders")]


@pytest.mark.parametrize("headers", [5, "X: y", [5], [{"key": "X"}], [{"name": "X", "value": 1}]])
def test_headers_of_another_shape(headers: Any) -> None:
    # B102
    assert found(httpUrl=URL, httpHeaders=headers) == [("header_invalid", "/httpHeaders")]


@pytest.mark.parametrize(
    "headers",
    [
        {"A": "x", "B": 5, "C": 1.5, "D": True, "E": " padded\t"},
        [
            *({"key": "A", "value": "x"}, {"key": "B", "value": 5}, {"key": "C", "value": 1.5}),
            *({"key": "D", "value": True}, {"key": "E", "value": "padded"}),
        ],
    ],
)
def test_headers_are_an_object_or_a_list(headers: Any) -> None:
    config = HttpConfig.model_validate({"httpUrl": URL, "httpHeaders": headers})
    expected = (("A", "x"), ("B", "5"), ("C", "1.5"), ("D", "true"), ("E", "padded"))
    assert config.headers == expected


@pytest.mark.parametrize("seconds", [-1, 0, 1e9, 3600.1, "10", math.nan, math.inf, True, None])
def test_bad_timeouts(seconds: Any) -> None:
    # B105
    assert found(httpUrl=URL, httpTimeout=seconds) == [("number_range", "/httpTimeout")]


@pytest.mark.parametrize("seconds", [1, 0.001, 3600, 3600.0])
def test_good_timeouts(seconds: float) -> None:
    # B105
    assert found(httpUrl=URL, httpTimeout=seconds) == []


@pytest.mark.parametrize(
    ("config", "key"),
    [
        # B106
        ({"httpBody": {"a": 1}}, "httpBody"),
        ({"httpMethod": "HEAD", "httpBody": False}, "httpBody"),
        ({"httpSendInput": True}, "httpSendInput"),
        ({"httpMethod": "POST", "httpBody": "x", "httpSendInput": True}, "httpSendInput"),
        ({"httpHeaders": {"authorization": "x"}, "httpAuth": {"type": "basic", "username": "u"}},
         "httpAuth"),
        ({"httpHeaders": {"X-Key": "x"}, "httpAuth": {"type": "header", "name": "x-key"}},
         "httpAuth"),
    ],
)  # fmt: skip
def test_conflicts(config: dict[str, Any], key: str) -> None:
    assert found(httpUrl=URL, **config) == [("config_conflict", f"/{key}")]


FALSY: list[Any] = [0, False, [], {}, "", None]
GOOD: list[dict[str, Any]] = [
    *({"httpBody": None}, {"httpBody": ""}, {"httpSendInput": False}, {"httpMethod": ""}),
    *({"httpMethod": "POST", "httpBody": body} for body in FALSY),
    *({"httpMethod": method} for method in ("GET", "HEAD", "OPTIONS", "DELETE", "PATCH")),
    {"httpMethod": "DELETE", "httpBody": {"a": 1}},
    {"httpMethod": "POST", "httpBody": {"a": [1, True]}, "httpBodyType": "form"},
    {"httpQuery": {"a": 1, "b": [True, None, "x"], "c": 1.5}, "httpHeaders": None},
    {"httpAuth": None, "httpFollowRedirects": False, "httpFullResponse": True},
    {"httpAuth": {"type": "bearer", "token": "t", "username": "left over"}},
]


@pytest.mark.parametrize("config", GOOD)
def test_good_configurations(config: dict[str, Any]) -> None:
    assert found(httpUrl=URL, **config) == []


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"httpAuth": {"type": "basic"}}, "required"),
        ({"httpAuth": {"type": "bearer", "token": ""}}, "required"),
        ({"httpAuth": {"type": "header", "value": "x"}}, "required"),
        ({"httpAuth": {"type": "header", "name": "Host"}}, "header_forbidden"),
        ({"httpAuth": {"type": "header", "name": "a b"}}, "header_invalid"),
        ({"httpAuth": {"type": "bearer", "token": "a\r\nb"}}, "header_invalid"),
        ({"httpAuth": {"type": "digest"}}, "value_unknown"),
        ({"httpAuth": {"type": "basic", "username": "u", "user": "u"}}, "field_unknown"),
        ({"httpBodyType": "xml"}, "value_unknown"),
        ({"httpMethod": "POST", "httpBodyType": "form", "httpBody": [1]}, "type_object_expected"),
        ({"httpFollowRedirects": "yes"}, "type_boolean_expected"),
        ({"httpQuery": [1]}, "type_object_expected"),
        ({"httpUri": "x"}, "field_unknown"),
    ],
)
def test_other_mistakes(config: dict[str, Any], code: str) -> None:
    assert [where for where, _ in found(httpUrl=URL, **config)] == [code]


def test_secrets_are_not_shown_by_accident() -> None:
    config = HttpConfig.model_validate(
        {
            "httpUrl": URL,
            "httpMethod": "POST",
            "httpHeaders": {"X-Key": "hush1"},
            "httpQuery": {"key": "hush2"},
            "httpBody": {"key": "hush3"},
            "httpAuth": {"type": "basic", "username": "hush4", "password": "hush5"},
        }
    )
    assert "hush" not in repr(config)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"url": "http://127.0.0.1/{{"}, "ssrf_blocked"),
        ({"url": "file:///etc/passwd"}, "url_scheme"),
        ({"url": "http://u@127.1/"}, "ssrf_blocked"),
        ({"headers": (("X", "{{\r\nHost: y"),)}, "header_invalid"),
        ({"headers": (("Host", "{{"),)}, "header_forbidden"),
    ],
)
def test_what_a_template_comes_to_is_checked_again(change: dict[str, Any], code: str) -> None:
    # B098, B102
    config = HttpConfig.model_validate({"httpUrl": URL}).model_copy(update=change)
    with pytest.raises(NodeError) as caught:
        check_rendered(config, Settings())
    assert caught.value.failure.code == code


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"])
def test_methods_that_may_be_repeated_are_tried_three_times(method: str) -> None:
    # R003-17
    config = {"httpUrl": URL, "httpMethod": method}
    assert default_retry(config) == RetryPolicy(attempts=1 if method in {"POST", "PATCH"} else 3)


def test_the_node_is_registered() -> None:
    # R003-17
    assert BUILT_IN.types()["http"].spec.title == "HTTP request"
    assert not BUILT_IN.types()["http"].pure


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = sorted(str(field.alias) for field in HttpConfig.model_fields.values())


@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_json_is_either_a_configuration_or_a_list_of_problems(config: dict[str, Any]) -> None:
    # B096, B101, B102, B105, B106: never an unexpected exception
    problems = check_config(HttpConfig, {"httpUrl": URL, **config})
    assert {problem.pointer.split("/")[1] for problem in problems} <= set(KEYS)
