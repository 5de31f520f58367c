"""Where executions start: `trigger` (by hand or by the clock) and `webhook`."""

import re
from typing import Any, Literal

import orjson
from pydantic import AliasChoices, Field, model_validator

from tasks.config_messages import config_error
from tasks.context import NodeContext
from tasks.registry import NodeConfig, node

_INTERVAL = re.compile(r"\s*(\d{1,9}(?:\.\d{1,3})?)\s*([smhd]?)\s*")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_UNITS = {"minutes": "m", "hours": "h", "days": "d"}
LONGEST_INTERVAL = 366 * 86_400
"""In seconds."""


class TriggerConfig(NodeConfig):
    """When the workflow starts by itself. Without a schedule it starts by hand."""

    schedule_enabled: bool = Field(
        False, alias="scheduleEnabled", description="Start by the clock."
    )
    schedule_interval: str | int | float | None = Field(
        None,
        alias="scheduleInterval",
        description='The time between two starts: "30s", "5m", "2h", "1d", or a number of units.',
        examples=["5m", 15],
    )
    schedule_unit: Literal["minutes", "hours", "days"] = Field(
        "minutes", alias="scheduleUnit", description="The unit of an interval without one."
    )
    schedule_type: str = Field(
        "", alias="scheduleType", description="How the front end shows the schedule."
    )

    @model_validator(mode="after")
    def _interval_is_readable(self) -> "TriggerConfig":
        if self.schedule_enabled and self.interval_seconds is None:
            raise config_error(
                "interval_invalid",
                'An interval is a number or text such as "5m", above 0 and at most 366 days.',
                "scheduleInterval",
            )
        return self

    @property
    def interval_seconds(self) -> float | None:
        """The seconds between two starts; `None` without a readable interval."""
        match = _INTERVAL.fullmatch(str(self.schedule_interval))
        if not match:
            return None
        number, unit = match.groups()
        seconds = float(number) * _SECONDS[unit or _UNITS[self.schedule_unit]]
        return seconds if 0 < seconds <= LONGEST_INTERVAL else None


@node("trigger", title="Trigger", trigger=True, pure=True)
async def trigger(_config: TriggerConfig, _data: Any, context: NodeContext) -> Any:
    """Starts the workflow, by hand or by the clock. Its output is the input given for it."""
    return context.inputs.get(context.node_id, {})


class WebhookConfig(NodeConfig):
    """The address that starts the workflow, and data to try it with."""

    webhook_id: str = Field("", alias="webhookId", description="The address of the webhook.")
    webhook_token: str = Field(
        "", alias="webhookToken", description="A secret that callers must give."
    )
    webhook_data: Any = Field(
        None,
        validation_alias=AliasChoices("webhookData"),
        description="Data used when the workflow is started by hand: any JSON, or JSON as text.",
        examples=[{"orderId": 17}],
    )


@node("webhook", title="Webhook", trigger=True, pure=True, verbatim=("webhookData",))
async def webhook(config: WebhookConfig, _data: Any, context: NodeContext) -> Any:
    """Starts the workflow when its address is called. Its output is what the caller sent.

    Without a call: the input given for the node, or else its test data, or else `{}`.
    """
    for name in ("_webhookData", context.node_id):
        if name in context.inputs:
            return context.inputs[name]
    return _test_data(config.webhook_data)


def _test_data(value: Any) -> Any:
    if value is None or value == "":
        return {}
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
