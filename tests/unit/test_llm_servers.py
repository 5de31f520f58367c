"""The `llm` node and the servers that it asks: refusals, limits, keys, and what is never sent."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

from config import Settings
from core.errors import Failure
from core.policy import NodePolicy
from tests.attempts import attempt, completed, failed, problems, settings
from tests.servers.model_server import ModelServer, Reply

KEY = "sk-canary-0123456789"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


def using(server: ModelServer, **more: Any) -> Settings:
    return settings(openai_base_url=server.base_url, openai_api_key=KEY, **more)


async def refuse(server: ModelServer) -> Failure:
    return await failed("llm", {"llmPrompt": "Q"}, using=using(server))


@pytest.mark.parametrize(
    ("reply", "code", "retryable", "retry_after"),
    [
        (Reply(status=401), "llm_auth", False, None),
        (Reply(status=429, headers={"retry-after": "7"}), "llm_rate_limited", True, 7.0),
        (Reply(status=429, headers={"retry-after": "never"}), "llm_rate_limited", True, None),
        (
            Reply(status=429, error={"message": "m", "code": "insufficient_quota"}),
            "llm_rejected",
            False,
            None,
        ),
        (Reply(status=500), "llm_rejected", True, None),
        (Reply(status=503, headers={"retry-after": "2"}), "llm_rejected", True, 2.0),
        (Reply(status=400), "llm_rejected", False, None),
        (Reply(status=404), "llm_rejected", False, None),
        (Reply(status=302, headers={"location": "/v1/x"}), "llm_rejected", False, None),
        (Reply(hangs_up=True), "llm_unreachable", True, None),
        (Reply(raw=b"not json"), "llm_unreadable", True, None),
        (Reply(raw=b"{}"), "llm_unreadable", True, None),
        (Reply(raw=b'{"choices": []}'), "llm_unreadable", True, None),
        (Reply(raw=b'{"choices": [{"message": null}]}'), "llm_unreadable", True, None),
        (Reply(raw=b'{"choices": [{"message": {"content": 5}}]}'), "llm_unreadable", True, None),
        (Reply(raw=b'{"choices": 5}'), "llm_unreadable", True, None),
        (Reply(raw=b"[]"), "llm_unreadable", True, None),
        (
            Reply("x", raw=b"text", headers={"content-type": "text/html"}),
            "llm_unreadable",
            True,
            None,
        ),
    ],
)
# R003-37, P12
async def test_refusals(
    server: ModelServer, reply: Reply, code: str, retryable: bool, retry_after: float | None
) -> None:
    server.replies(reply)
    failure = await refuse(server)
    assert (failure.code, failure.retryable, failure.retry_after) == (code, retryable, retry_after)
    # Retries are the caller's: there is one request.
    assert len(server.requests) == 1


# S-50
async def test_the_key_is_in_no_message(server: ModelServer) -> None:
    server.replies(Reply(status=400, error={"message": f"Bad key {KEY}.", "code": None}))
    failure = await refuse(server)
    assert KEY not in failure.message
    assert "[redacted]" in failure.message
    server.replies(Reply(status=401, error={"message": f"Bad key {KEY}.", "code": None}))
    failure = await refuse(server)
    assert "OPENAI_API_KEY" in failure.message
    assert KEY not in failure.message


@pytest.mark.parametrize("packed", [False, True])
# S-16
async def test_an_endless_answer_is_cut_off(server: ModelServer, packed: bool) -> None:
    raw = b" " * 200_000 + b"{}"
    headers = {"content-encoding": "gzip"} if packed else {}
    server.replies(Reply(raw=gzip.compress(raw) if packed else raw, headers=headers))
    small = using(server, http_max_bytes=100_000)
    failure = await failed("llm", {"prompt": "Q"}, using=small)
    assert failure.code == "payload_too_large"


async def test_a_packed_answer_is_read(server: ModelServer) -> None:
    raw = gzip.compress(Reply("hi").body("m"))
    server.replies(Reply(raw=raw, headers={"content-encoding": "gzip"}))
    outcome = await completed("llm", {"prompt": "Q"}, using=using(server))
    assert outcome.output["response"] == "hi"


# R000-17
async def test_a_silent_server_is_given_up(server: ModelServer) -> None:
    server.replies(Reply(hangs=True))
    failure = await failed("llm", {"prompt": "Q"}, using=using(server, llm_timeout=0.1))
    assert (failure.code, failure.retryable) == ("timeout", True)
    server.replies(Reply(hangs=True))
    node = NodePolicy(timeout=0.1)
    failure = await failed("llm", {"prompt": "Q"}, using=using(server), policy=node)
    assert (failure.code, failure.retryable) == ("timeout", True)


async def test_a_node_may_wait_longer_than_the_default(server: ModelServer) -> None:
    server.replies(Reply("late", delay=0.2))
    short = using(server, llm_timeout=0.05)
    outcome = await completed("llm", {"prompt": "Q"}, using=short, policy=NodePolicy(timeout=20))
    assert outcome.output["response"] == "late"


async def test_nobody_there(unused_tcp_port: int) -> None:
    nowhere = settings(openai_base_url=f"http://127.0.0.1:{unused_tcp_port}/v1")
    failure = await failed("llm", {"prompt": "Q"}, using=nowhere)
    assert (failure.code, failure.retryable) == ("llm_unreachable", True)


async def test_cancelling_lets_go_of_the_server(server: ModelServer) -> None:
    server.replies(Reply(hangs=True))
    task = asyncio.create_task(attempt("llm", {"prompt": "Q"}, using=using(server)))
    await server.until_asked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("key", [None, ""])
# R003-27
async def test_without_a_key_the_variable_is_named(key: str | None) -> None:
    # The name cannot be resolved: had anything been sent, the failure would be another one.
    remote = settings(openai_base_url="https://models.invalid/v1", openai_api_key=key)
    failure = await failed("llm", {"prompt": "Q"}, using=remote)
    assert failure.code == "llm_no_key"
    assert "OPENAI_API_KEY" in failure.message


async def test_a_server_on_this_machine_needs_no_key(server: ModelServer) -> None:
    local = settings(openai_base_url=server.base_url)
    assert (await completed("llm", {"prompt": "Q"}, using=local)).output["response"] == "Q"


# S-11, B111
async def test_a_workflows_own_server_is_subject_to_the_rules(server: ModelServer) -> None:
    config = {"prompt": "Q", "llmBaseUrl": server.base_url}
    guarded = settings(openai_api_key=KEY)
    failure = await failed("llm", config, using=guarded)
    assert failure.code == "ssrf_blocked"
    assert server.requests == []
    assert problems("llm", config) == [("url_blocked", "/llmBaseUrl")]


# S-50
async def test_a_workflows_own_server_never_gets_the_key(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", KEY)
    monkeypatch.setenv("OPENAI_PROJECT_ID", KEY)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Secret: {KEY}")
    opened = settings(openai_api_key=KEY, http_allowed_hosts="127.0.0.1")
    config = {"prompt": "Q", "llmBaseUrl": server.base_url}
    assert (await completed("llm", config, using=opened)).output["response"] == "Q"
    (request,) = server.requests
    assert KEY not in repr(request)
    assert "authorization" not in request.headers
