"""Asking a model server that speaks the interface of OpenAI."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel, Field, ValidationError

from core.errors import NodeError
from tasks.context import NodeContext
from tasks.llm_config import LlmConfig
from tasks.llm_transport import bounded_client, is_loopback
from tasks.redaction import redacted

Message = dict[str, str]

_RETRYABLE = frozenset({408, 409, 425, 429})
_MOST_WAIT = 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, and the tokens that it counted, if it did."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str = ""


async def ask(
    messages: list[Message], config: LlmConfig, context: NodeContext, model: str
) -> Answer:
    """Send a conversation and return the answer. Raises `NodeError`, never tries twice.

    The time limit is that of the node, or else `LLM_TIMEOUT` for each question.
    """
    limit = context.timeout or context.settings.llm_timeout
    own = config.base_url in ("", context.settings.openai_base_url)
    client = _client(config, context, limit, own=own)
    try:
        async with asyncio.timeout(limit):
            answer = await client.chat.completions.with_raw_response.create(
                messages=cast("list[ChatCompletionMessageParam]", messages),
                model=model,
                temperature=openai.omit if config.temperature is None else config.temperature,
                max_tokens=openai.omit if config.max_tokens is None else config.max_tokens,
            )
    except (TimeoutError, openai.APITimeoutError):
        message = f"The model did not answer within {limit:g} seconds."
        raise NodeError(message, code="timeout", retryable=True) from None
    except openai.OpenAIError as error:
        raise _failure(error, context) from None
    return _answer(answer.content)


def _client(
    config: LlmConfig, context: NodeContext, limit: float, *, own: bool
) -> openai.AsyncOpenAI:
    """Return a client for the server to ask.

    The operator's own server may be anywhere, and gets the operator's key. A server that a
    workflow names is subject to the rules for every request of a workflow, and never gets it.
    """
    settings, resources = context.settings, context.resources
    connections = resources.llm_http if own else resources.http
    bounded = bounded_client(connections, settings.http_max_bytes, anonymous=not own)
    return openai.AsyncOpenAI(
        api_key=_key(context) if own else "none",
        base_url=settings.openai_base_url if own else config.base_url,
        # The SDK takes clients of httpx as well as of its successor, which it is typed with.
        http_client=cast("Any", bounded),
        timeout=limit,
        max_retries=0,
    )


def _key(context: NodeContext) -> str:
    key = context.settings.openai_api_key
    if key is not None and key.get_secret_value():
        return key.get_secret_value()
    if is_loopback(context.settings.openai_base_url):
        return "none"
    raise NodeError(
        "There is no key for the model: set OPENAI_API_KEY, or set OPENAI_BASE_URL to a model "
        "server on this machine, or use the built-in model offline/echo.",
        code="llm_no_key",
    )


def _failure(error: openai.OpenAIError, context: NodeContext) -> NodeError:
    if isinstance(error, openai.APIStatusError):
        return _refused(error, context)
    if isinstance(error, openai.APIConnectionError):
        message = "The model server cannot be reached, or closed the connection."
        return NodeError(message, code="llm_unreachable", retryable=True)
    return _unreadable()


def _refused(error: openai.APIStatusError, context: NodeContext) -> NodeError:
    status = error.status_code
    if status == 401:
        return NodeError(
            "The model server does not accept the key: check OPENAI_API_KEY (and OPENAI_BASE_URL).",
            code="llm_auth",
            details={"statusCode": status},
        )
    said = redacted(str(error.message), context.settings)
    quota = error.code == "insufficient_quota"
    retryable = (status in _RETRYABLE or status >= 500) and not quota
    return NodeError(
        f"The model server answered with status {status}: {said}",
        code="llm_rate_limited" if status == 429 and not quota else "llm_rejected",
        retryable=retryable,
        retry_after=_retry_after(error) if retryable else None,
        details={"statusCode": status},
    )


def _retry_after(error: openai.APIStatusError) -> float | None:
    try:
        seconds = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(seconds, _MOST_WAIT) if seconds >= 0 else None


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    """What is needed of an answer: not every server keeps to the whole interface."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None
    model: str | None = None


def _answer(body: bytes) -> Answer:
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError:
        raise _unreadable() from None
    usage = completion.usage or _Usage()
    return Answer(
        completion.choices[0].message.content or "",
        usage.prompt_tokens,
        usage.completion_tokens,
        completion.model or "",
    )


def _unreadable() -> NodeError:
    return NodeError(
        "The model server's answer cannot be read: it is not a chat completion.",
        code="llm_unreadable",
        retryable=True,
    )
