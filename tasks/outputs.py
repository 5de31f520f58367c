"""Where executions end: `output` and the answer to a webhook's caller."""

import re
from typing import Any, Literal

import orjson
from pydantic import Field, field_validator

from core.expressions import TemplateError, compile_template
from tasks.config_messages import config_error, quoted
from tasks.context import NodeContext
from tasks.outcomes import Completed
from tasks.records import Row, each_record
from tasks.registry import NodeConfig, node

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SERVERS_OWN = frozenset(
    {"connection", "content-length", "date", "host", "keep-alive", "server", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)


class OutputConfig(NodeConfig):
    """Nothing to set."""


@node("output", title="Output", terminal=True, pure=True)
async def output(_config: OutputConfig, data: Any, _context: NodeContext) -> Completed:
    """The result of the workflow: its input, as it is."""
    return Completed(data, details={"isFinal": True})


class ResponseHeader(Row):
    """One header of the answer."""

    key: str = Field("", description="Its name.")
    value: str = Field("", description="Its value.", max_length=4096)

    @field_validator("key")
    @classmethod
    def _name_is_a_token(cls, key: str) -> str:
        if key and not _TOKEN.fullmatch(key):
            raise config_error("header_invalid", f"{quoted(key)} is not the name of a header.")
        if key.lower() in _SERVERS_OWN:
            raise config_error("header_forbidden", f"The server sets {quoted(key)} itself.")
        return key

    @field_validator("value")
    @classmethod
    def _value_is_one_line(cls, value: str) -> str:
        if _CONTROL.search(value):
            raise config_error("header_invalid", "The value of a header is a single line.")
        return value


class WebhookResponseConfig(NodeConfig):
    """What the caller of the webhook gets."""

    mode: Literal["passthrough", "selected", "template"] = Field(
        "passthrough",
        alias="webhookResponseMode",
        description="passthrough: the input; selected: some of its fields; template: a text.",
    )
    status_code: int = Field(
        200,
        alias="webhookResponseStatusCode",
        description="The HTTP status of the answer.",
        ge=200,
        le=599,
    )
    headers: list[ResponseHeader] = Field(
        default_factory=list,
        alias="webhookResponseHeaders",
        description="Headers of the answer; rows without a name are ignored.",
        max_length=50,
    )
    fields: list[str] = Field(
        default_factory=list,
        alias="webhookResponseFields",
        description="For the mode selected: the fields to answer with.",
    )
    template: Any = Field(
        None,
        alias="webhookResponseTemplate",
        description="For the mode template: text, or JSON whose texts are templates.",
        examples=['{"ok": true, "name": "{{ name }}"}'],
    )

    @field_validator("status_code", mode="before")
    @classmethod
    def _digits(cls, value: Any) -> Any:
        return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{3}", value) else value

    @field_validator("template")
    @classmethod
    def _template_compiles(cls, value: Any) -> Any:
        if isinstance(value, str):
            _check(value)
        return value


def _check(template: str) -> None:
    try:
        compile_template(template)
    except TemplateError as error:
        raise config_error(error.code, str(error), final=True) from None


@node(
    "webhookResponse",
    title="Webhook response",
    pure=True,
    self_rendered=("webhookResponseTemplate",),
)
async def webhook_response(
    config: WebhookResponseConfig, data: Any, context: NodeContext
) -> Completed:
    """Answers the caller of the webhook. The body of the answer is also the node's output.

    A template that is JSON is read as JSON first, so that no value can change its structure.
    """
    body = _body(config, data, context)
    headers = {row.key: row.value for row in config.headers if row.key}
    details = {
        "isWebhookResponse": True,
        "webhookResponseStatusCode": config.status_code,
        "webhookResponseHeaders": headers,
        "webhookResponseBody": body,
    }
    return Completed(body, details=details)


def _body(config: WebhookResponseConfig, data: Any, context: NodeContext) -> Any:
    match config.mode:
        case "passthrough":
            return data
        case "selected":
            fields = config.fields
            return each_record(data, lambda record: {f: record[f] for f in fields if f in record})
        case "template":
            return context.render(_as_json(config.template), data)


def _as_json(template: Any) -> Any:
    if not isinstance(template, str):
        return template
    try:
        return orjson.loads(template)
    except orjson.JSONDecodeError:
        return template
