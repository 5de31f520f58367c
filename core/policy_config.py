"""The configuration keys that every node type understands, and the settings of a document."""

from collections.abc import Callable, Mapping
from typing import Any, get_args

from core.findings import Place, quote
from core.plan import Concurrency, PlanSettings
from core.policy import NodePolicy, OnError, RetryPolicy
from core.readers import (
    read_array,
    read_boolean,
    read_choice,
    read_integer,
    read_number,
    read_object,
    read_string,
    refuse_unknown,
)

LONGEST_NAME = 200
"""Characters of a label or name."""

MAX_ATTEMPTS = 100
DEFAULT_ATTEMPTS = 3
"""Attempts of a `retry` object that does not say how many."""

MAX_DELAY = 86_400
"""Seconds between two attempts."""

MAX_NODE_TIMEOUT = 604_800
"""Seven days, in seconds."""

MAX_EXECUTION_TIMEOUT = 31_536_000
"""A year, in seconds."""

MAX_PARALLEL = 1_000
MAX_CONCURRENCY = 1_000
MAX_RETENTION_DAYS = 36_500
MAX_WAIT_FOR = 1_000_000
MAX_CODES = 100
LONGEST_CODE = 64

_Reader = Callable[[Place, Any], Any]


def _read_on(place: Place, value: Any) -> frozenset[str] | None:
    codes = read_array(place, value)
    if codes is None:
        return None
    if len(codes) > MAX_CODES:
        place.error("array_too_long", f"List at most {MAX_CODES} error codes.")
        return None
    read = [read_string(place.at(i), code, LONGEST_CODE) for i, code in enumerate(codes)]
    return frozenset(code for code in read if code is not None)


def _seconds(place: Place, value: Any) -> float | None:
    return read_number(place, value, 0, MAX_DELAY)


_RETRY: Mapping[str, tuple[str, _Reader]] = {
    "attempts": ("attempts", lambda place, value: read_integer(place, value, 1, MAX_ATTEMPTS)),
    "delay": ("delay", _seconds),
    "backoff": ("backoff", lambda place, value: read_number(place, value, 1, 10)),
    "jitter": ("jitter", lambda place, value: read_number(place, value, 0, 1)),
    "maxDelay": ("max_delay", _seconds),
    "on": ("on", _read_on),
}


def _read_retry(place: Place, value: Any) -> RetryPolicy | None:
    if isinstance(value, int | float | str):
        attempts = read_integer(place, value, 1, MAX_ATTEMPTS)
        return None if attempts is None else RetryPolicy(attempts)
    given = read_object(place, value)
    if given is None:
        return None
    refuse_unknown(place, given, _RETRY)
    return RetryPolicy(**{"attempts": DEFAULT_ATTEMPTS} | _read_fields(place, given, _RETRY))


def _read_wait_for(place: Place, value: Any) -> str | int | None:
    if isinstance(value, str):
        return read_choice(place, value, ("all", "any"))
    return read_integer(place, value, 1, MAX_WAIT_FOR)


def _read_timeout(place: Place, value: Any) -> float | None:
    return read_number(place, value, 0, MAX_NODE_TIMEOUT, above=True)


_POLICY: Mapping[str, tuple[str, _Reader]] = {
    "retry": ("retry", _read_retry),
    "timeout": ("timeout", _read_timeout),
    "onError": ("on_error", lambda place, value: read_choice(place, value, get_args(OnError))),
    "onInterrupt": (
        "on_interrupt",
        lambda place, value: read_choice(place, value, ("retry", "fail")),
    ),
    "waitFor": ("wait_for", _read_wait_for),
    "disabled": ("disabled", read_boolean),
}

COMMON_KEYS = frozenset({"customName", "pinnedData", *_POLICY})
"""Keys that belong to every node and not to its type."""


def _read_fields(
    place: Place, given: Mapping[str, Any], readers: Mapping[str, tuple[str, _Reader]]
) -> dict[str, Any]:
    found = {}
    for key, (name, read) in readers.items():
        if key in given and (value := read(place.at(key), given[key])) is not None:
            found[name] = value
    return found


def read_policy(place: Place, config: Mapping[str, Any]) -> NodePolicy:
    """Return what the common keys of a node's `config` say; `place` is that of the config.

    What is wrong is recorded and left at its default. `null` is refused, save for `pinnedData`,
    where it is a value, and `customName`, where it means none.
    """
    fields = _read_fields(place, config, _POLICY)
    if "pinnedData" in config:
        fields["pinned_data"] = config["pinnedData"]
    return NodePolicy(**fields)


def own_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a node's `config` that belongs to its type."""
    return {key: value for key, value in config.items() if key not in COMMON_KEYS}


def read_label(place: Place, node: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    """Return a node's label: `config.customName`, else `label`; None when neither says one."""
    custom = _read_name(place.at("config", "customName"), config.get("customName"))
    label = _read_name(place.at("label"), node.get("label"))
    return custom or label


def _read_name(place: Place, value: Any) -> str | None:
    if value is None:
        return None
    name = read_string(place, value, LONGEST_NAME)
    return name if name and name.strip() else None


_CONCURRENCY: Mapping[str, tuple[str, _Reader]] = {
    "limit": ("limit", lambda place, value: read_integer(place, value, 1, MAX_CONCURRENCY)),
    "policy": (
        "policy",
        lambda place, value: read_choice(place, value, ("queue", "reject", "replace")),
    ),
}


def _read_concurrency(place: Place, value: Any) -> Concurrency | None:
    given = read_object(place, value)
    if given is None:
        return None
    refuse_unknown(place, given, _CONCURRENCY)
    if "limit" not in given:
        place.at("limit").error("required", "Say how many may run at once.")
    found = _read_fields(place, given, _CONCURRENCY)
    return Concurrency(**found) if "limit" in found else None


_SETTINGS: Mapping[str, tuple[str, _Reader]] = {
    "maxParallel": (
        "max_parallel",
        lambda place, value: read_integer(place, value, 1, MAX_PARALLEL),
    ),
    "timeout": (
        "timeout",
        lambda place, value: read_number(place, value, 0, MAX_EXECUTION_TIMEOUT, above=True),
    ),
    "orchestrator": (
        "orchestrator",
        lambda place, value: read_choice(place, value, ("prefect", "direct")),
    ),
    "name": ("name", lambda place, value: read_string(place, value, LONGEST_NAME)),
    "concurrency": ("concurrency", _read_concurrency),
    "retentionDays": (
        "retention_days",
        lambda place, value: read_integer(place, value, 0, MAX_RETENTION_DAYS),
    ),
}


def read_settings(place: Place, value: Any) -> PlanSettings:
    """Return a document's `settings`. `null` means not set, for all of them and for each.

    A key that is not known is a warning: other front ends keep more there.
    """
    if value is None:
        return PlanSettings()
    given = read_object(place, value)
    if given is None:
        return PlanSettings()
    for key in given:
        if key not in _SETTINGS:
            place.at(key).warning("field_unknown", f"The setting {quote(key)} has no effect here.")
    present = {key: inner for key, inner in given.items() if inner is not None}
    return PlanSettings(**_read_fields(place, present, _SETTINGS))
