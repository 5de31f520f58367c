"""The example workflows: sound documents that come to what their README says."""

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from config import Settings, get_settings
from core.graph import compile_document, fired_trigger
from core.plan import Plan
from core.walk import NodeResult, Walk, execution_result
from examples.data_server import PORT, address, make_server
from tasks.attempt import run_attempt
from tasks.context import NodeContext
from tasks.load import load_node_types
from tasks.outcomes import Completed
from tasks.resources import Resources

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*.json"))
NODE_WIDTH, NODE_HEIGHT = 200, 100
"""What a front end needs to draw a node."""


def request(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))
    return loaded


def document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = request(name)["data"]
    return found


def by_id(name: str) -> dict[str, dict[str, Any]]:
    return {node["id"]: node for node in document(name)["nodes"]}


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with make_server(0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield address(server)
        server.shutdown()
        thread.join()


def test_there_are_three() -> None:
    names = [file.stem for file in FILES]
    assert names == ["price_comparison", "quickstart", "support_triage"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_compiles_without_a_problem(file: Path) -> None:
    compiled = compile_document(document(file.stem), load_node_types().catalogue())
    assert compiled.problems == ()
    assert compiled.plan is not None


# R003-14, R003-15, R003-16, R003-17, R003-18, R003-19, R003-20, R003-21, R003-23
def test_together_they_use_most_node_types() -> None:
    used = {node["type"] for file in FILES for node in document(file.stem)["nodes"]}
    assert used >= {"trigger", "manualInput", "output", "http", "llm", "condition"}
    assert used >= {"addField", "join", "action", "comment"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_people_can_read_it(file: Path) -> None:
    found = document(file.stem)
    labels = [node["label"] for node in found["nodes"]]
    assert request(file.stem)["name"]
    assert found["description"]
    assert all(labels)
    assert len(set(labels)) == len(labels)
    connections = [connection["id"] for connection in found["connections"]]
    assert len(set(connections)) == len(connections)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_node_is_drawn_over_another(file: Path) -> None:
    nodes = document(file.stem)["nodes"]
    for index, one in enumerate(nodes):
        for other in nodes[index + 1 :]:
            beside = abs(one["x"] - other["x"]) >= NODE_WIDTH
            below = abs(one["y"] - other["y"]) >= NODE_HEIGHT
            assert beside or below, (one["id"], other["id"])


@pytest.mark.parametrize("name", ["price_comparison", "support_triage"])
def test_the_address_of_the_data_is_an_input(name: str) -> None:
    source = by_id(name)["source"]
    assert source["type"] == "manualInput"
    assert source["config"]["inputVarValue"] == f"http://127.0.0.1:{PORT}"


def plan_of(name: str) -> Plan:
    plan = compile_document(document(name), load_node_types().catalogue()).plan
    assert plan is not None
    return plan


class Execution:
    """One execution in the test's own process: the rules of the walk, the real node functions."""

    def __init__(self, name: str, inputs: Mapping[str, Any], resources: Resources) -> None:
        self.plan = plan_of(name)
        self.walk = Walk(self.plan, fired_trigger(self.plan, inputs))
        self.inputs = inputs
        self.resources = resources
        self.skipped: list[str] = []

    async def run(self, settings: Settings) -> Any:
        steps = self.walk.start()
        ready = deque(steps.ready)
        while ready:
            node = ready.popleft()
            steps = self.walk.settle(node, await self._result(node, settings))
            ready.extend(steps.ready)
            self.skipped += steps.skipped
        assert self.walk.finished
        return execution_result(self.plan, self.walk.results, lambda kind: kind == "output")

    async def _result(self, node: str, settings: Settings) -> NodeResult:
        planned = self.plan.nodes[node]
        outputs = {name: result.output for name, result in self.walk.results.items()}
        context = NodeContext(
            settings, self.resources, node_id=node, nodes=outputs, inputs=self.inputs
        )
        data = self.walk.input_of(node, self.inputs)
        outcome = await run_attempt(load_node_types().types()[planned.type], planned, data, context)
        assert isinstance(outcome, Completed), outcome
        return NodeResult(outcome.output, outcome.ports, outcome.by_port)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("HTTP_ALLOWED_HOSTS", "127.0.0.1")
    get_settings.cache_clear()
    yield get_settings()
    get_settings.cache_clear()


async def run(settings: Settings, name: str, **inputs: Any) -> tuple[Any, Execution]:
    async with Resources(settings) as resources:
        execution = Execution(name, inputs, resources)
        return await execution.run(settings), execution


async def test_triage_sorts_assigns_and_reports(settings: Settings, base_url: str) -> None:
    result, execution = await run(settings, "support_triage", source=base_url)
    tickets = {ticket["id"]: ticket for ticket in result["inputData"]}
    urgent = {key for key, ticket in tickets.items() if ticket["urgency"] == "urgent"}
    assert execution.skipped == []
    assert len(tickets) == 12
    assert urgent == {"T-1041", "T-1043", "T-1045", "T-1047", "T-1050"}
    assert tickets["T-1041"]["action"] == (
        "Call Camila Rojas (+44 1632 960103): Lena Hoffmann of Nordlicht Logistics is waiting."
    )
    assert tickets["T-1052"]["action"] == "Answer Sofía Álvarez within 4 hours (team platform)."
    assert result["response"].startswith("12 tickets are sorted. 5 are urgent: T-1041 (Nordlicht")
    assert result["response"].endswith(
        "T-1050 (Riverbank School) goes to Noor Haddad. 7 wait in the queues."
    )


async def test_prices_are_compared_product_by_product(settings: Settings, base_url: str) -> None:
    result, _ = await run(settings, "price_comparison", source=base_url)
    assert set(result) == {"Buy in shop A", "Buy in shop B"}
    in_a = {row["sku"]: row["advice"] for row in result["Buy in shop A"]}
    in_b = {row["sku"]: row["advice"] for row in result["Buy in shop B"]}
    assert set(in_b) == {"KET-017", "GRI-110", "KNI-020", "BLE-600", "FRE-008"}
    assert set(in_a) == {"TOA-002", "SCA-005", "PAN-028", "BOA-040"}
    assert in_b["FRE-008"] == "French press, 8 cups: 22.8 in shop B saves 4.2 (16 %)"
    assert in_a["SCA-005"] == "Kitchen scale, 5 kg: 18.75 in shop A, the same in both"


@pytest.mark.parametrize(
    ("inputs", "total", "skipped"),
    [({}, 145.2, "pay"), ({"amount": 50}, 60.5, "approve")],
)
async def test_quickstart_goes_one_way(
    settings: Settings, inputs: dict[str, int], total: float, skipped: str
) -> None:
    result, execution = await run(settings, "quickstart", **inputs)
    assert result == {"amount": inputs.get("amount", 120), "total": total}
    assert execution.skipped == [skipped]


def test_the_readme_names_every_example_and_its_inputs() -> None:
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    assert set(re.findall(r"`(\w+\.json)`", readme)) >= {file.name for file in FILES}
    assert '{"source": "<base url of the data server>"}' in readme
    assert "HTTP_ALLOWED_HOSTS=127.0.0.1" in readme
