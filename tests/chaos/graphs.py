"""Random documents for the chaos tests, and broken ones."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.integration.graphs import Document, field, http, node, value

SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 25, 40)
MOST_JOINS = 3
"""A join doubles what flows: more of them in a row would be about memory."""
QUICK_RETRY = {"attempts": 3, "delay": 0.1, "jitter": 0}
DRIP_BYTES = 20
KINDS = {"set": 30, "get": 18, "post": 16, "check": 12, "join": 8, "fail": 9, "flaky": 4, "drip": 3}
FAULTS = ("/status/500", "/status/404", "/reset", "/short", "refused")


@dataclass(frozen=True)
class Places:
    """The addresses that nodes call: the target's, and one where nobody listens."""

    target: str
    nobody: str


def random_document(chance: Random, places: Places) -> Document:
    """Return a valid document of 1 to 40 nodes: chains, diamonds, joins, branches, failures."""
    size = chance.choice(SIZES)
    nodes: list[Document] = [value("n0", chance.randint(0, 10), "n")]
    edges: list[Document] = []
    joins = 0
    for place in range(1, size):
        name = f"n{place}"
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        if kind == "join" and (place < 2 or joins == MOST_JOINS):
            kind = "set"
        joins += kind == "join"
        sources = _sources(chance, nodes, kind)
        nodes.append(_node(chance, places, kind, name))
        for side, source in zip("AB", sources, strict=False):
            edges.append(_edge(chance, source, name, side if kind == "join" else None))
    if chance.random() < 0.5:
        nodes.append(node("end", "output"))
        edges.append(_edge(chance, nodes[-2], "end", None))
    return {"nodes": nodes, "connections": edges}


def _sources(chance: Random, nodes: list[Document], kind: str) -> list[Document]:
    near = nodes[-5:]
    if kind == "join":
        return chance.sample(near, 2)
    roll = chance.random()
    if roll < 0.06:
        return []  # one more root
    return chance.sample(near, min(len(near), 2 if roll < 0.25 else 1))


def _edge(chance: Random, source: Document, target: str, side: str | None) -> Document:
    made = {"id": f"{source['id']}-{target}", "fromNodeId": source["id"], "toNodeId": target}
    if source["type"] == "condition":
        made["outputType"] = chance.choice(["true", "false"])
    elif source["config"].get("onError") == "route":
        made["outputType"] = chance.choice(["out", "error", "error"])
    return made if side is None else {**made, "inputPort": side}


def _node(chance: Random, places: Places, kind: str, name: str) -> Document:
    match kind:
        case "set":
            return field(name, f"f{name}", chance.randint(0, 100))
        case "check":
            rule = {"conditionField": "n", "conditionOperator": "greaterThan"}
            return node(name, "condition", **rule, conditionValue=chance.randint(0, 10))
        case "join":
            return node(name, "join", joinStrategy="concat")
        case _:
            return _request(chance, places, kind, name)


def _request(chance: Random, places: Places, kind: str, name: str) -> Document:
    """A node that sends requests, each marked with its execution and node."""
    common: dict[str, Any] = {"httpQuery": {"key": f"{{{{ execution.id }}}}.{name}.0"}}
    common |= {"httpTimeout": 20, "retry": QUICK_RETRY}
    method = "POST" if kind == "post" or chance.random() < 0.3 else "GET"
    match kind:
        case "fail":
            fault = chance.choice(FAULTS)
            url = places.nobody if fault == "refused" else places.target + fault
            on_error = chance.choices(["continue", "route", "stop"], [5, 5, 2])[0]
            return http(name, url, method, **common, onError=on_error)
        case "flaky":
            # GET: a POST that failed with 503 is not tried again.
            return http(name, f"{places.target}/flaky?times=1", "GET", **common)
        case "drip":
            return http(
                name, f"{places.target}/drip?bytes={DRIP_BYTES}&interval=0.01", "GET", **common
            )
        case _:
            seconds = chance.choice([0, 0, 0.02, 0.1, 0.3, 0.7, 1.5, 3.0])
            path = f"/slow?seconds={seconds}" if seconds else "/json"
            return http(name, places.target + path, method, **common)


def _unknown_type(found: Document) -> None:
    found["nodes"].append(node("extra", "teleport"))


def _cycle(found: Document) -> None:
    found["nodes"] += [field("c1", "a", 1), field("c2", "a", 1)]
    for source, target in (("c1", "c2"), ("c2", "c1")):
        link = {"id": f"{source}{target}", "fromNodeId": source, "toNodeId": target}
        found["connections"].append(link)


def _dangling(found: Document) -> None:
    found["connections"].append({"id": "d", "fromNodeId": "n0", "toNodeId": "nobody"})


def _twice(found: Document) -> None:
    found["nodes"].append(copy.deepcopy(found["nodes"][0]))


def _itself(found: Document) -> None:
    found["connections"].append({"id": "s", "fromNodeId": "n0", "toNodeId": "n0"})


def _empty(found: Document) -> None:
    found["nodes"].clear()


def _no_address(found: Document) -> None:
    found["nodes"].append(node("extra", "http"))


def _wrong_port(found: Document) -> None:
    found["nodes"].append(field("extra", "a", 1))
    link = {"id": "w", "fromNodeId": "n0", "toNodeId": "extra", "outputType": "sideways"}
    found["connections"].append(link)


def _bad_retry(found: Document) -> None:
    found["nodes"].append(field("extra", "a", 1))
    found["nodes"][-1]["config"]["retry"] = {"attempts": -1}


WAYS: tuple[Callable[[Document], None], ...] = (
    _unknown_type,
    _cycle,
    _dangling,
    _twice,
    _itself,
    _empty,
    _no_address,
    _wrong_port,
    _bad_retry,
)


def broken_document(chance: Random, places: Places) -> Document:
    """Return a document that must be refused."""
    found = random_document(chance, places)
    chance.choice(WAYS)(found)
    return found
