"""Reading a request's body: JSON as the standard has it, and nothing that only looks like it."""

import asyncio
import json
import math
import re
from typing import Any

from starlette.requests import ClientDisconnect, Request

from api.refusals import RequestTimeout, invalid
from core.errors import BadRequest, CauceError, Problem, TooLarge, UnsupportedMediaType
from core.findings import child, descend, quote, string_faults

BODY_SECONDS = 30.0
MAX_DEPTH = 64
LARGEST_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader takes exactly (RFC 8259, section 6)."""
LARGE_BODY = 64 * 1024
"""Bytes from which a body is read in a thread: the loop serves others meanwhile."""

_SUSPECT = re.compile(rb"[0-9]{16}|[eE]\+?0*[1-9][0-9][0-9]|\\u0000|\\u[dD][89a-fA-F]")
"""What a number out of range, NUL or half a surrogate pair cannot be written without."""
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SQUARE = bytes.maketrans(b"{}", b"[]")
_UNLIMITED = 1 << 62


async def read_object(request: Request, max_bytes: int) -> dict[str, Any]:
    """Return the body, a JSON object.

    Raises `BadRequest` for what is not JSON, `Unprocessable` for JSON that is no object or holds
    a value that cannot be stored, `TooLarge`, `UnsupportedMediaType` and `RequestTimeout`.
    """
    _check_headers(request)
    body = await _read_bytes(request, max_bytes)
    if len(body) < LARGE_BODY:
        return parse_object(body)
    return await asyncio.to_thread(parse_object, body)


async def read_optional_object(request: Request, max_bytes: int) -> dict[str, Any]:
    """Return the body as `read_object` does, or `{}` where there is none."""
    declared = request.headers.get("content-length", "0")
    if "transfer-encoding" not in request.headers and declared == "0":
        if "content-type" in request.headers:
            _check_headers(request)
        return {}
    return await read_object(request, max_bytes)


def _check_headers(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise UnsupportedMediaType(
            "Send the body as it is, without a Content-Encoding.",
            code="content_encoding_unsupported",
        )
    given = request.headers.get("content-type", "")
    if given != "application/json" and not _is_json(given):
        raise UnsupportedMediaType


def _is_json(content_type: str) -> bool:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = (p.removeprefix("charset=").strip('"') for p in parameters if "charset" in p)
    return kind == "application/json" and all(name in {"utf-8", "utf8"} for name in charsets)


async def _read_bytes(request: Request, max_bytes: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if len(declared) > 18 or (declared.isdecimal() and int(declared) > max_bytes):
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError:
        raise RequestTimeout from None
    except ClientDisconnect:
        raise BadRequest("The body ended too early.", code="body_truncated") from None
    return bytes(body)


def _too_large(max_bytes: int) -> CauceError:
    return TooLarge(f"The body is larger than {max_bytes:,} bytes.")


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body. Raises `BadRequest` and `Unprocessable`."""
    value = parse(body)
    if not isinstance(value, dict):
        message = f"The body must be a JSON object, not {quote(value)}."
        raise invalid([Problem("type_object_expected", message)])
    return value


def parse(body: bytes) -> Any:
    """Return the value of a JSON text. Raises `BadRequest` and `Unprocessable`."""
    text = _decoded(body)
    _check_depth(body)
    doubled: list[_Doubled] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        doubled.append(_Doubled(pairs))
        return doubled[-1]

    try:
        value = json.loads(text, object_pairs_hook=collect, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = len(text[: error.pos].encode())
        raise BadRequest(
            f"The body is not JSON: {error.msg} (byte {place}).",
            code="json_malformed",
            problems=[Problem("json_malformed", f"{error.msg} (byte {place})")],
        ) from None
    except ValueError:  # the interpreter's limit for the digits of an integer
        raise BadRequest(
            "The body holds an integer with thousands of digits.", code="json_number_too_long"
        ) from None
    if doubled:
        raise _duplicate_keys(value)
    if _SUSPECT.search(body):
        _check_values(value)
    return value


class _Doubled(dict[str, Any]):
    """An object that was written with the same key twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = sorted({name for name in names if names.count(name) > 1}, key=names.index)


def _decoded(body: bytes) -> str:
    if not body.strip():
        raise BadRequest("The body is empty: send a JSON object.", code="body_empty")
    # In UTF-16 and UTF-32 one of the first two characters has a zero byte.
    if body.startswith(b"\xef\xbb\xbf") or b"\0" in body[:4]:
        raise _encoding()
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise _encoding() from None


def _encoding() -> BadRequest:
    message = "The body must be UTF-8 without a byte order mark."
    return BadRequest(message, code="json_encoding")


def _check_depth(body: bytes) -> None:
    """Refuse deep nesting before anything reads it recursively.

    What is left of the text are its brackets; each round takes away the innermost pairs, and with
    them exactly one level.
    """
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    brackets = _STRING.sub(b"", body).translate(_SQUARE, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        fewer = brackets.replace(b"[]", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    if b"[]" in brackets or brackets.count(b"[") > MAX_DEPTH:
        raise BadRequest(
            f"The body is nested more than {MAX_DEPTH} levels deep.", code="json_too_deep"
        )


def _refuse_constant(name: str) -> Any:
    raise BadRequest(f"{name} is not JSON: write a number or null.", code="json_nonfinite")


def _duplicate_keys(value: Any) -> BadRequest:
    problems = [
        Problem(
            "json_duplicate_key", f"The key {quote(name)} is there twice.", _pointer(path, name)
        )
        for path, item in descend(value, MAX_DEPTH + 1)
        if isinstance(item, _Doubled)
        for name in item.twice
    ]
    return BadRequest(problems[0].message, code="json_duplicate_key", problems=problems)


def _pointer(path: tuple[Any, ...], *more: object) -> str:
    pointer = ""
    for key in (*path, *more):
        pointer = child(pointer, key)
    return pointer


def _check_values(value: Any) -> None:
    problems = []
    for path, item in descend(value, MAX_DEPTH + 1):
        texts = [item] if isinstance(item, str) else item if isinstance(item, dict) else ()
        for text in texts:
            problems += [
                Problem(code, message, _pointer(path))
                for code, message in string_faults(text, _UNLIMITED)
            ]
        if isinstance(item, float) and not math.isfinite(item):
            message = "A number is too large to be one: write a smaller one or null."
            raise BadRequest(message, code="json_nonfinite")
        if isinstance(item, int) and abs(item) > LARGEST_INTEGER:
            message = f"{quote(item)} is beyond ±{LARGEST_INTEGER}: write it as a string."
            problems.append(Problem("number_out_of_range", message, _pointer(path)))
    if problems:
        raise invalid(problems)
