"""`llm`: a question to a language model, with an answer of a kind that is checked.

What a model answers is data: no template in it is rendered, no tool is offered to it, and
nothing that it asks for is done.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from core.errors import NodeError
from tasks.context import NodeContext
from tasks.llm_client import Answer, Message, ask
from tasks.llm_config import LlmConfig
from tasks.llm_offline import OFFLINE_MODEL, offline_answer
from tasks.llm_output import WrongAnswer, instruction, read_answer
from tasks.outcomes import Completed
from tasks.registry import node

MOST_CONTEXT = 100 * 1024
"""Bytes of the input, as JSON, that are sent along; the rest is cut off."""

MOST_ROWS = 1000
AT_ONCE = 4
"""Questions of one node on the way at the same time."""


@dataclass(frozen=True, slots=True)
class _Reply:
    """A checked answer and what it took."""

    value: Any
    text: str
    answers: tuple[Answer, ...]


@node("llm", title="LLM", self_rendered=("llmPrompt", "prompt", "llmSystem"))
async def llm(config: LlmConfig, data: Any, context: NodeContext) -> Completed:
    """Asks a language model. The output is `{response, outputType, inputData}`.

    With `llmResponseField` it is the input instead, each record with its answer in that field.

    Works with every server that speaks OpenAI's chat completions. An answer of another kind than
    `outputType` is sent back once, with the reason; then the node fails with
    `llm_output_invalid`. In the mode `perRow` a list is asked about record by record, four at a
    time, and `response` is the list of the answers in order.
    """
    if config.mode == "perRow" and isinstance(data, list):
        replies = await _ask_rows(config, data, context)
        return _completed(config, data, context, replies, [reply.value for reply in replies])
    reply = await _ask_checked(config, data, context)
    return _completed(config, data, context, [reply], reply.value)


async def _ask_rows(config: LlmConfig, rows: list[Any], context: NodeContext) -> list[_Reply]:
    if len(rows) > MOST_ROWS:
        message = f"There are {len(rows)} records to ask about: at most {MOST_ROWS} are possible."
        raise NodeError(message, code="payload_too_large")
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask_row(row: Any) -> _Reply:
        async with gate:
            return await _ask_checked(config, row, context)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask_row(row)) for row in rows]
    except ExceptionGroup as failures:
        # The first failure cancelled the others: it is the one to tell of.
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def _ask_checked(config: LlmConfig, data: Any, context: NodeContext) -> _Reply:
    """Ask once, and once more with the reason when the answer is not of the kind asked for."""
    asked = replace_texts(config, data, context)
    messages = _conversation(asked, data)
    answers = [await _one_answer(messages, asked, data, context)]
    try:
        return _Reply(read_answer(answers[0].text, asked), answers[0].text, tuple(answers))
    except WrongAnswer as wrong:
        messages += [
            {"role": "assistant", "content": answers[0].text},
            {"role": "user", "content": str(wrong)},
        ]
    answers.append(await _one_answer(messages, asked, data, context))
    try:
        return _Reply(read_answer(answers[1].text, asked), answers[1].text, tuple(answers))
    except WrongAnswer as wrong:
        raise NodeError(
            f"The model twice gave no usable answer. {wrong}",
            code="llm_output_invalid",
            details={"llmResponse": answers[1].text[:2000], "usage": _usage(answers)},
        ) from None


def replace_texts(config: LlmConfig, data: Any, context: NodeContext) -> LlmConfig:
    """Return the configuration with its prompts rendered for one input."""
    texts = {
        name: _as_text(context.render(getattr(config, name), data)) for name in ("prompt", "system")
    }
    return config.model_copy(update=texts)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _conversation(config: LlmConfig, data: Any) -> list[Message]:
    system = "\n\n".join(part for part in (config.system, instruction(config)) if part)
    question = [config.prompt]
    if config.context_entities:
        question.append(f"Context entities:\n{_json(config.context_entities)}")
    if config.include_input and data is not None:
        question.append(f"Context data:\n{_json(data)}")
    messages = [{"role": "system", "content": system}] if system else []
    return [*messages, {"role": "user", "content": "\n\n".join(question)}]


def _json(data: Any) -> str:
    text = orjson.dumps(data)
    if len(text) <= MOST_CONTEXT:
        return text.decode()
    return text[:MOST_CONTEXT].decode(errors="ignore") + "… (cut off)"


async def _one_answer(
    messages: list[Message], config: LlmConfig, data: Any, context: NodeContext
) -> Answer:
    model = config.model or context.settings.openai_model
    if model == OFFLINE_MODEL:
        return offline_answer(config, data)
    return await ask(messages, config, context, model)


def _completed(
    config: LlmConfig, data: Any, context: NodeContext, replies: list[_Reply], response: Any
) -> Completed:
    answers = [answer for reply in replies for answer in reply.answers]
    texts = [reply.text for reply in replies]
    model = next((answer.model for answer in answers if answer.model), "")
    output: Any = {"response": response, "outputType": config.output_type, "inputData": data}
    if config.response_field:
        output = _with_answers(config, data, response)
    return Completed(
        output,
        details={
            "llmResponse": texts if isinstance(response, list) and len(texts) != 1 else texts[0],
            "usage": _usage(answers),
            "model": model or config.model or context.settings.openai_model,
        },
    )


def _with_answers(config: LlmConfig, data: Any, response: Any) -> Any:
    if config.mode == "perRow" and isinstance(data, list):
        pairs = zip(data, response, strict=True)
        return [_with_answer(config.response_field, row, answer) for row, answer in pairs]
    return _with_answer(config.response_field, data, response)


def _with_answer(field: str, record: Any, answer: Any) -> dict[str, Any]:
    """Return a record with its answer; a value that is no record becomes one."""
    return {**(record if isinstance(record, dict) else {"value": record}), field: answer}


def _usage(answers: list[Answer]) -> dict[str, int]:
    asked = sum(answer.prompt_tokens for answer in answers)
    answered = sum(answer.completion_tokens for answer in answers)
    return {
        "promptTokens": asked,
        "completionTokens": answered,
        "totalTokens": asked + answered,
    }
