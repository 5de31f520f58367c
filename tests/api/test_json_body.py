"""What a body may be: every way to get JSON wrong has its own answer."""

import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.json_body import parse
from core.errors import CauceError
from tests.api.conftest import problem
from tests.servers.api_server import ApiServer

JSON = {"Content-Type": "application/json"}
DEEP = b"[" * 64 + b"]" * 64


def named(value: bytes) -> bytes:
    return b'{"name": ' + value + b"}"


BODIES: list[tuple[str, bytes, int, str]] = [
    ("B001", b"", 400, "body_empty"),
    ("B001", b" \n", 400, "body_empty"),
    ("B002", b'{"nodes":[{"id":"a"', 400, "json_malformed"),
    ("B003", b'{"name": "a",}', 400, "json_malformed"),
    ("B003", b"{'name': 'a'}", 400, "json_malformed"),
    ("B003", b'{"name": "a" /* x */}', 400, "json_malformed"),
    ("B004", b"{} {}", 400, "json_malformed"),
    ("B005", b"\xef\xbb\xbf{}", 400, "json_encoding"),
    ("B006", "{}".encode("utf-16"), 400, "json_encoding"),
    ("B006", "{}".encode("utf-16-be"), 400, "json_encoding"),
    ("B006", "{}".encode("utf-32-le"), 400, "json_encoding"),
    ("B007", b"\xff\xfe", 400, "json_encoding"),
    ("B008", named(b'"\xed\xa0\x80"'), 400, "json_encoding"),
    ("B009", named(rb'"\ud800"'), 422, "string_invalid_unicode"),
    ("B009", rb'{"\uDFFF": 1}', 422, "string_invalid_unicode"),
    ("B010", named(rb'"a\u0000"'), 422, "string_nul"),
    ("B010", rb'{"\u0000": 1}', 422, "string_nul"),
    ("B011", named(b'"a\x01"'), 400, "json_malformed"),
    ("B012", named(b"NaN"), 400, "json_nonfinite"),
    ("B012", named(b"-Infinity"), 400, "json_nonfinite"),
    ("B013", named(b"1e400"), 400, "json_nonfinite"),
    ("B013", named(b"[123456789012345e299]"), 400, "json_nonfinite"),
    ("B014", named(b"9" * 30), 422, "number_out_of_range"),
    ("B014", named(b"9007199254740992"), 422, "number_out_of_range"),
    ("B015", named(b"9" * 5000), 400, "json_number_too_long"),
    ("B016", b'{"name": "a", "name": "b"}', 400, "json_duplicate_key"),
    ("B016", rb'{"name": "a", "\u006eame": "b"}', 400, "json_duplicate_key"),
    ("B017", named(DEEP), 400, "json_too_deep"),
    ("B017", named(b"[[]," * 64 + b"1" + b"]" * 64), 400, "json_too_deep"),
    ("B018", b'{"a":' * 100_00 + b"1" + b"}" * 100_00, 400, "json_too_deep"),
    ("B018", b"[" * 100_000, 400, "json_too_deep"),
    ("B018", b'["' + rb"\"" * 50_000, 400, "json_malformed"),
    ("B019", b"[]", 422, "type_object_expected"),
    ("B019", b'"a"', 422, "type_object_expected"),
    ("B019", b"1", 422, "type_object_expected"),
    ("B019", b"null", 422, "type_object_expected"),
]


@pytest.mark.parametrize(("row", "body", "status", "code"), BODIES)
def test_a_body_that_is_not_right_is_refused(
    server: ApiServer, row: str, body: bytes, status: int, code: str
) -> None:
    # B001 … B019
    before = server.rows()
    began = time.perf_counter()
    answer = server.client.post("/api/workflows", content=body, headers=JSON)
    assert time.perf_counter() - began < 1.0, row
    problem(answer, status, code)
    assert server.rows() == before


def test_depth_is_refused_quickly() -> None:
    # B018
    body = b"[" * 100_000 + b"]" * 100_000
    began = time.perf_counter()
    with pytest.raises(CauceError) as refused:
        parse(body)
    assert refused.value.code == "json_too_deep"
    assert time.perf_counter() - began < 0.5  # 50 ms, on a machine that does other things too


def test_the_place_is_told(server: ApiServer) -> None:
    # B002, B009, B016
    post = server.client.post
    broken = post("/api/workflows", content='{"é": x}'.encode(), headers=JSON)
    assert "byte 7" in problem(broken, 400, "json_malformed")["detail"]
    twice = post("/api/workflows", content=b'{"a": [{"b": 1, "b": 2}]}', headers=JSON)
    assert problem(twice, 400, "json_duplicate_key")["errors"][0]["pointer"] == "/a/0/b"
    half = post("/api/workflows", content=rb'{"a": ["x", "\ud800", "\u0000"]}', headers=JSON)
    found = problem(half, 422, "invalid")["errors"]
    assert [(one["code"], one["pointer"]) for one in found] == [
        ("string_invalid_unicode", "/a/1"),
        ("string_nul", "/a/2"),
    ]


TYPES: list[tuple[str, list[tuple[str, str]], int, str]] = [
    ("B020", [("Content-Type", "text/plain")], 415, "unsupported_media_type"),
    ("B021", [], 415, "unsupported_media_type"),
    ("B022", [("Content-Type", "application/json; charset=utf-7")], 415, "unsupported_media_type"),
    ("B023", [("Content-Type", "application/json")] * 2, 400, "header_duplicate"),
    ("B024", [("Content-Type", "multipart/form-data; boundary=x")], 415, "unsupported_media_type"),
    (
        "B025",
        [("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
        415,
        "content_encoding_unsupported",
    ),
    (
        "S-35",
        [("Content-Type", "application/x-www-form-urlencoded")],
        415,
        "unsupported_media_type",
    ),
]


@pytest.mark.parametrize(("row", "headers", "status", "code"), TYPES)
def test_only_json_is_taken(
    server: ApiServer, row: str, headers: list[tuple[str, str]], status: int, code: str
) -> None:
    # B020 … B025, S-35, S-62
    before = server.rows()
    request = server.client.build_request("POST", "/api/workflows/execute", content=b"{}")
    request.headers = type(request.headers)([*request.headers.multi_items(), *headers])
    problem(server.client.send(request), status, code)
    assert server.rows() == before, row


def test_multipart_that_says_it_is_json_is_malformed(server: ApiServer) -> None:
    # B024
    body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--'
    problem(server.client.post("/api/workflows", content=body, headers=JSON), 400, "json_malformed")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=UTF-8", 'APPLICATION/JSON;charset="utf-8"']
)
def test_json_may_name_its_charset(server: ApiServer, kind: str) -> None:
    # B022
    answer = server.client.post("/api/workflows", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 422


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(ANY_JSON)
@settings(max_examples=150, deadline=None)
def test_every_json_value_is_read_as_it_is(value: Any) -> None:
    assert parse(orjson.dumps(value)) == value


@given(st.binary(max_size=60) | st.text(alphabet='[]{}",:\\u0dDeE+1 ntf').map(str.encode))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    refusal = None
    try:
        orjson.dumps(parse(body))
    except CauceError as error:
        refusal = error.status
    assert refusal in (None, 400, 422)
