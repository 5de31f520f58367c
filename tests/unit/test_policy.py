"""What every node may say beside its own configuration."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.findings import Findings, Place
from core.policy import NOT_PINNED, NodePolicy, RetryPolicy
from core.policy_config import COMMON_KEYS, own_config, read_policy


def read(config: dict[str, Any]) -> tuple[NodePolicy, list[tuple[str, str]]]:
    findings = Findings(100)
    policy = read_policy(Place(findings), config)
    return policy, [(problem.code, problem.pointer) for problem in findings.errors]


def test_without_common_keys_a_policy_is_the_default() -> None:
    assert read({"httpUrl": "x"}) == (NodePolicy(), [])


def test_every_key_is_read() -> None:  # R003-37
    config = {
        "retry": {
            "attempts": 5,
            "delay": 0,
            "backoff": 1,
            "jitter": 0.5,
            "maxDelay": 60,
            "on": ["http_error", "timeout"],
        },
        "timeout": 2.5,
        "onError": "route",
        "onInterrupt": "fail",
        "waitFor": 2,
        "disabled": True,
        "pinnedData": [0],
        "customName": "N",
    }
    retry = RetryPolicy(5, 0, 1, 0.5, 60, frozenset({"http_error", "timeout"}))
    assert read(config) == (NodePolicy(retry, 2.5, "route", "fail", 2, True, [0]), [])
    assert own_config(config | {"httpUrl": "x"}) == {"httpUrl": "x"}
    assert set(config) == COMMON_KEYS


@pytest.mark.parametrize(
    ("retry", "policy"),
    [
        (3, RetryPolicy(3)),
        (100, RetryPolicy(100)),
        ({}, RetryPolicy(3)),
        ({"attempts": 1}, RetryPolicy(1)),
        ({"delay": 86_400}, RetryPolicy(3, 86_400)),
    ],
)
def test_retry_is_a_number_of_attempts_or_an_object(retry: Any, policy: RetryPolicy) -> None:
    assert read({"retry": retry}) == (NodePolicy(retry=policy), [])


@pytest.mark.parametrize(
    ("config", "code", "pointer"),
    [
        *[({"retry": n}, "number_range", "/retry") for n in (-1, 0, 101, 10**6, 10**400)],  # B095
        ({"retry": "3"}, "type_integer_expected", "/retry"),  # B095
        ({"retry": 1.5}, "type_integer_expected", "/retry"),  # B095
        ({"retry": True}, "type_integer_expected", "/retry"),  # B095
        ({"retry": None}, "type_object_expected", "/retry"),  # B095
        ({"retry": []}, "type_object_expected", "/retry"),  # B095
        ({"retry": {"attempts": True}}, "type_integer_expected", "/retry/attempts"),  # B095
        ({"retry": {"attempts": 3.0}}, "type_integer_expected", "/retry/attempts"),  # B095
        ({"retry": {"attempts": 101}}, "number_range", "/retry/attempts"),  # B095
        ({"retry": {"delay": -1}}, "number_range", "/retry/delay"),  # B095
        ({"retry": {"delay": 86_401}}, "number_range", "/retry/delay"),
        ({"retry": {"delay": "1"}}, "type_number_expected", "/retry/delay"),
        ({"retry": {"backoff": 0.5}}, "number_range", "/retry/backoff"),
        ({"retry": {"backoff": 11}}, "number_range", "/retry/backoff"),
        ({"retry": {"jitter": 1.1}}, "number_range", "/retry/jitter"),
        ({"retry": {"maxDelay": math.inf}}, "number_range", "/retry/maxDelay"),
        ({"retry": {"on": "timeout"}}, "type_array_expected", "/retry/on"),
        ({"retry": {"on": [3]}}, "type_string_expected", "/retry/on/0"),
        ({"retry": {"on": ["x"] * 101}}, "array_too_long", "/retry/on"),
        ({"retry": {"times": 3}}, "field_unknown", "/retry/times"),
        *[({"timeout": n}, "number_range", "/timeout") for n in (-1, 0, 604_801, 1e9)],  # B105
        ({"timeout": math.nan}, "number_range", "/timeout"),  # B105
        ({"timeout": 10**400}, "number_range", "/timeout"),  # B105
        ({"timeout": "10"}, "type_number_expected", "/timeout"),  # B105
        ({"timeout": None}, "type_number_expected", "/timeout"),  # B105
        ({"timeout": True}, "type_number_expected", "/timeout"),  # B105
        ({"onError": "Stop"}, "value_unknown", "/onError"),
        ({"onError": None}, "value_unknown", "/onError"),
        ({"onInterrupt": "stop"}, "value_unknown", "/onInterrupt"),
        ({"disabled": 1}, "type_boolean_expected", "/disabled"),
        ({"waitFor": "some"}, "value_unknown", "/waitFor"),
        ({"waitFor": 0}, "number_range", "/waitFor"),
        ({"waitFor": True}, "type_integer_expected", "/waitFor"),
    ],
)
def test_a_wrong_value_is_reported_and_left_at_its_default(
    config: dict[str, Any], code: str, pointer: str
) -> None:
    policy, problems = read(config)
    assert problems == [(code, pointer)]
    assert policy in (NodePolicy(), NodePolicy(retry=policy.retry))


@pytest.mark.parametrize("value", [None, 0, False, "", [], {}])
def test_any_value_can_be_pinned(value: Any) -> None:
    assert read({"pinnedData": value})[0].pinned_data == value
    assert read({})[0].pinned_data is NOT_PINNED


@pytest.mark.parametrize(
    ("policy", "attempt", "asked", "spread", "seconds"),
    [
        (RetryPolicy(5, 1, 2, 0, 300), 1, None, 0, 1),
        (RetryPolicy(5, 1, 2, 0, 300), 4, None, 0, 8),
        (RetryPolicy(5, 1, 2, 0, 5), 4, None, 0, 5),
        (RetryPolicy(5, 1, 2, 0.5, 300), 1, None, 1, 1.5),
        (RetryPolicy(5, 1, 2, 0, 300), 1, 20, 0, 20),
        (RetryPolicy(5, 30, 2, 0, 300), 1, 20, 0, 30),
        (RetryPolicy(5, 1, 2, 0, 300), 1, 9_999, 0, 300),
        (RetryPolicy(5, 0, 2, 1, 300), 3, None, 1, 0),
    ],
)
def test_the_wait_grows_up_to_its_limit(
    policy: RetryPolicy, attempt: int, asked: float | None, spread: float, seconds: float
) -> None:
    assert policy.wait(attempt, asked, spread) == seconds


@settings(max_examples=100, deadline=None)
@given(
    st.builds(
        RetryPolicy,
        attempts=st.integers(1, 100),
        delay=st.floats(0, 86_400),
        backoff=st.floats(1, 10),
        jitter=st.floats(0, 1),
        max_delay=st.floats(0, 86_400),
    ),
    st.integers(1, 100),
    st.none() | st.floats(0, 1e9),
)
def test_a_wait_is_never_longer_than_its_limit(
    policy: RetryPolicy, attempt: int, asked: float | None
) -> None:
    assert 0 <= policy.wait(attempt, asked) <= policy.max_delay
    assert policy.wait(attempt, asked, 0) <= policy.wait(attempt, asked, 1)


@pytest.mark.parametrize(
    ("policy", "attempt", "code", "retryable", "allowed"),
    [
        (RetryPolicy(), 1, "x", True, False),
        (RetryPolicy(3), 2, "x", True, True),
        (RetryPolicy(3), 3, "x", True, False),
        (RetryPolicy(3), 1, "x", False, False),
        (RetryPolicy(3, on=frozenset({"x"})), 1, "x", False, True),
        (RetryPolicy(3, on=frozenset({"y"})), 1, "x", True, False),
    ],
)
def test_an_attempt_follows_while_there_are_any_and_the_code_allows(
    policy: RetryPolicy, attempt: int, code: str, retryable: bool, allowed: bool
) -> None:
    assert policy.allows(attempt, code, retryable=retryable) == allowed
