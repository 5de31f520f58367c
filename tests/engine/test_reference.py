"""Random graphs with random failures, run by a real worker, end as the naive reading says."""

import asyncio
import random
from typing import Any

import pytest

from core.plan import Plan
from store.payloads import decode
from tests.engine.stage import Stage
from tests.reference import Reference, Result
from tests.strategies.graphs import Document, document, edge, node
from tests.strategies.plans import settled

ON_ERROR = ("stop", "continue", "route")
GRAPHS = 40


def random_document(chance: random.Random) -> Document:
    """Return a graph of up to twelve nodes that choose ports, fail, and handle failures."""
    names = [f"n{number}" for number in range(chance.randint(1, 12))]
    nodes, edges = [], []
    for place, name in enumerate(names):
        config: dict[str, Any] = {"onError": chance.choice(ON_ERROR[1:])}
        config |= {"ports": ["out", "a"], "choose": chance.choice([["out"], ["a"], ["out", "a"]])}
        if chance.random() < 0.15:
            config |= {"fail": True, "onError": chance.choice(ON_ERROR)}
        nodes.append(node(name, "script", **config))
        for source in chance.sample(names[:place], min(place, chance.randint(0, 3))):
            ports = ["out", "a"]
            if nodes[names.index(source)]["config"]["onError"] == "route":
                ports.append("error")
            edges.append(edge(source, name, chance.choice(ports)))
    return document(chance.sample(nodes, len(nodes)), *chance.sample(edges, len(edges)))


def behaviour(plan: Plan, name: str, data: Any) -> Result:
    """What a scripted node comes to."""
    config, on_error = plan.nodes[name].config, plan.nodes[name].policy.on_error
    if not config.get("fail"):
        return Result({"from": name, "got": data}, tuple(config["choose"]))
    failed = settled(on_error, [edge.port for edge in plan.outgoing[name]], data)
    if failed.output is not None:
        failed.output["error"] = {"code": "scripted", "message": "as scripted"}
    return failed


@pytest.mark.parametrize("seed", range(2))
async def test_a_worker_runs_what_the_rules_say(stage: Stage, seed: int) -> None:
    # section 3.6 (c): the scheduler against the reference interpreter
    chance = random.Random(seed)  # the order of the graphs; what the database does differs
    graphs = [random_document(chance) for _ in range(GRAPHS)]
    async with stage.worker():
        ids = await asyncio.gather(*(stage.accept(graph) for graph in graphs))
        rows = await asyncio.gather(*(stage.ended(one) for one in ids))
    for graph, row in zip(graphs, rows, strict=True):
        plan = stage.compile(graph)
        reference = Reference(plan)
        finished = reference.run(lambda name, data, plan=plan: behaviour(plan, name, data), min)  # type: ignore[misc]
        statuses = await stage.nodes(row["id"])
        assert (row["status"] == "failed") == (finished.failed is not None), graph
        if finished.failed is None:
            assert decode(row["finalOutput"]) == finished.result
            skipped = {name for name, status in statuses.items() if status == "skipped"}
            assert skipped == finished.skipped
            got = {name: data["output"] for _, name, data in await outputs(stage, row["id"])}
            assert got == {name: result.output for name, result in finished.results.items()}


async def outputs(stage: Stage, execution_id: str) -> list[tuple[str, str | None, Any]]:
    """Return the events that carry outputs."""
    return await stage.events(execution_id, "node.completed", "node.failed")
