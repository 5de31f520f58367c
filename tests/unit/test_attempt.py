import asyncio
import datetime
import logging
import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from core.catalogue import NodeSpec
from core.errors import NodeError
from core.policy import NodePolicy
from tasks.config_check import keys_by_field
from tasks.context import NodeContext
from tasks.handlers import AnyConfig
from tasks.load import load_node_types
from tasks.outcomes import Completed, Failed
from tasks.output_check import normal_form
from tasks.registry import NodeConfig, NodeFunction, NodeType, Registry, node
from tests.attempts import attempt, completed, failed, settings


def kind(run: NodeFunction, timeout: float | None = None, **spec: Any) -> NodeType:
    return NodeType(NodeSpec("sample", **spec), AnyConfig, run, timeout=timeout)


def giving(value: Any) -> NodeType:
    async def run(_config: NodeConfig, _data: Any, _context: NodeContext) -> Any:
        return value

    return kind(run)


def raising(error: BaseException) -> NodeType:
    async def run(_config: NodeConfig, _data: Any, _context: NodeContext) -> Any:
        raise error

    return kind(run)


# Defect 10: falsy values are values.
@pytest.mark.parametrize("value", [0, False, "", [], {}, None, 0.0])
async def test_falsy_values_are_values(value: Any) -> None:
    outcome = await completed(giving(value), {})
    assert outcome.output == value
    assert type(outcome.output) is type(value)
    assert outcome.ports == ("out",)


async def test_an_outcome_is_taken_as_it_is() -> None:
    outcome = await completed(giving(Completed(1, ports=("a",), details={"x": 1})), {})
    assert (outcome.output, outcome.ports, outcome.details) == (1, ("a",), {"x": 1})


# B133
@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        math.nan,
        {"a": [math.inf]},
        {"a": None, "b": -math.inf},
        (1, None, math.nan),
        object(),
        {1, 2},
        2**64,
        -(2**63) - 1,
        "\ud800",
        {"a": {"b": complex(1)}},
    ],
)
async def test_output_that_json_cannot_hold_fails_the_node(value: Any) -> None:
    failure = await failed(giving(value), {})
    assert failure.code == "output_invalid"
    assert not failure.retryable


async def test_bottomless_output_fails_the_node() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert (await failed(giving(deep), {})).code == "output_invalid"
    deep.append(deep)
    assert (await failed(giving(deep), {})).code == "output_invalid"


async def test_output_is_as_it_is_read_back() -> None:
    value = {1: (1, 2), "when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "n": 2**64 - 1}
    outcome = await completed(giving(value), {})
    assert outcome.output == {"1": [1, 2], "when": "2026-01-02T00:00:00+00:00", "n": 2**64 - 1}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab"), inner, max_size=4),
    max_leaves=12,
)


@bounded(deadline=None, max_examples=60)
@given(json_values)
def test_the_normal_form_of_json_is_itself(value: Any) -> None:
    normal, size = normal_form(value)
    assert normal == value
    assert normal_form(normal) == (value, size)


# B134, S-67
async def test_output_above_the_limit_fails_the_node() -> None:
    limit = settings(max_output_bytes=1024)
    assert (await completed(giving("x" * 1022), {}, using=limit)).output == "x" * 1022
    failure = await failed(giving("x" * 1023), {}, using=limit)
    assert failure.code == "payload_too_large"
    sides = giving(Completed(None, by_port={"a": "x" * 2000}))
    assert (await failed(sides, {}, using=limit)).code == "payload_too_large"


async def test_configuration_is_rendered_once_but_for_verbatim_keys() -> None:
    async def run(config: AnyConfig, _data: Any, _context: NodeContext) -> Any:
        return config.model_extra

    node_type = kind(run, verbatim=frozenset({"raw"}))
    config = {"a": "{{ evil }}", "b": ["{{ n }}"], "raw": "{{ n }}", "customName": "{{ no }}"}
    outcome = await completed(node_type, config, {"evil": "{{ 7 * 7 }}", "n": 3})
    # S-02
    assert outcome.output == {"a": "{{ 7 * 7 }}", "b": [3], "raw": "{{ n }}"}


# B119
async def test_a_template_that_fails_fails_the_node_with_its_code() -> None:
    failure = await failed(giving(1), {"a": "{{ missing.x }}"}, {})
    assert failure.code == "template_undefined"
    assert "missing" in failure.message


async def test_templates_in_keys_of_another_type_are_not_even_looked_at() -> None:
    outcome = await completed("output", {"httpUrl": "{{ gone }}", "llmPrompt": "{{"}, {"a": 1})
    assert outcome.output == {"a": 1}


async def test_configuration_is_checked_again_when_it_is_rendered() -> None:
    config = {"columnsOutputA": "{{ names }}"}
    assert (await completed("splitColumns", config, {"names": ["x"], "x": 1})).output["A"] == {
        "x": 1
    }
    failure = await failed("splitColumns", config, {"names": 5})
    assert failure.code == "config_invalid"
    assert failure.details["problems"][0]["pointer"] == "/columnsOutputA"


async def test_a_fault_of_the_node_is_its_failure() -> None:
    error = NodeError("No.", code="own", retryable=True, retry_after=3.0, details={"a": (1,)})
    failure = await failed(raising(error), {})
    assert (failure.code, failure.message) == ("own", "No.")
    assert (failure.retryable, failure.retry_after, failure.details) == (True, 3.0, {"a": [1]})


async def test_any_other_exception_is_a_failure_without_a_stack_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    using = settings(openai_api_key="sk-canary")
    error = KeyError("sk-canary in https://user:word@host/ " + "x" * 1000)
    with caplog.at_level(logging.ERROR):
        failure = await failed(raising(error), {}, using=using)
    assert failure.code == "node_error"
    assert failure.message.startswith("KeyError: ")
    assert len(failure.message) <= 500
    # S-50, S-51
    for text in (failure.message, caplog.text):
        assert "sk-canary" not in text
        assert "user:word" not in text
        assert "Traceback" not in text
    assert "test_attempt.py" in caplog.text


async def test_groups_of_exceptions_are_failures_too() -> None:
    failure = await failed(raising(ExceptionGroup("several", [ValueError("x")])), {})
    assert failure.code == "node_error"


@pytest.mark.parametrize(("of_node", "of_type"), [(0.05, 60.0), (None, 0.05)])
# R000-17
async def test_time_runs_out(of_node: float | None, of_type: float) -> None:
    left = asyncio.Event()

    async def run(_config: AnyConfig, _data: Any, context: NodeContext) -> Any:
        assert context.timeout == 0.05
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    failure = await failed(kind(run, of_type), {}, policy=NodePolicy(timeout=of_node))
    assert (failure.code, failure.retryable) == ("timeout", True)
    assert failure.message == "The node took longer than 0.05 seconds."
    assert left.is_set()


async def test_cancelling_passes_through() -> None:
    started = asyncio.Event()

    async def run(_config: AnyConfig, _data: Any, _context: NodeContext) -> Any:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(attempt(kind(run), {}))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@dataclass
class _Untouched:
    """A function that must not be called."""

    calls: int = 0

    async def __call__(self, _config: Any, _data: Any, _context: NodeContext) -> Any:
        self.calls += 1


@pytest.mark.parametrize("pinned", [{"a": 1}, None, 0, "{{ x }}"])
async def test_pinned_data_replace_the_run(pinned: Any) -> None:
    function = _Untouched()
    outcome = await completed(kind(function), {"a": "{{"}, policy=NodePolicy(pinned_data=pinned))
    assert (outcome.output, outcome.ports) == (pinned, ("out",))
    assert outcome.details == {"pinned": True}
    assert function.calls == 0


async def test_pinned_data_of_several_ports_name_them() -> None:
    config = {"columnsOutputA": ["x"]}
    one = await completed("splitColumns", config, policy=NodePolicy(pinned_data={"A": [1]}))
    assert one.ports == ("A",)
    assert one.value_for("A") == [1]
    both = await completed("splitColumns", config, policy=NodePolicy(pinned_data=[1]))
    assert both.ports == ("A", "B")
    assert both.value_for("B") == [1]


@bounded(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(load_node_types().types())), json_values, st.data())
def test_no_input_or_configuration_makes_an_attempt_raise(
    name: str, data: Any, drawn: st.DataObject
) -> None:
    # Without a URL or a prompt nothing leaves the process.
    model = load_node_types().types()[name].config_model
    keys = [key for keys in keys_by_field(model).values() for key in keys]
    keys = [key for key in keys if key not in ("httpUrl", "llmPrompt", "prompt", "llmBaseUrl")]
    config = drawn.draw(st.dictionaries(st.sampled_from(keys), json_values)) if keys else {}
    outcome = asyncio.run(attempt(name, config, data))
    assert isinstance(outcome, Completed | Failed)
    if isinstance(outcome, Failed):
        assert outcome.failure.code != "node_error", outcome


class ExitConfig(NodeConfig):
    """Nothing to set."""


async def test_a_node_that_exits_fails_and_takes_nobody_with_it() -> None:
    # P22: a library that calls sys.exit must not end the worker
    registry = Registry()

    @node("exits", registry=registry)
    async def exits(config: ExitConfig, data: Any, context: NodeContext) -> None:
        """Leaves."""
        raise SystemExit(3)

    failure = await failed(registry.types()["exits"], {})
    assert (failure.code, failure.message) == ("node_error", "SystemExit: 3")
