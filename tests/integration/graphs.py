"""Workflow documents in few words, for tests that are not about documents.

graph(value("a", 1), node("b", "output"), "a > b")
graph(…, "check.true > yes", "left > merge.A", "right > merge.B")
"""

from itertools import pairwise
from typing import Any

from tests.servers.http_target import HttpTarget

Document = dict[str, Any]


def node(node_id: str, node_type: str, label: str | None = None, **config: Any) -> Document:
    """Return a node; its label is its id in capitals if none is given."""
    return {
        "id": node_id,
        "type": node_type,
        "label": label or node_id.capitalize(),
        "x": 0,
        "y": 0,
        "config": config,
    }


def value(node_id: str, given: Any = None, name: str = "input") -> Document:
    """Return a node that gives `{name: given}`."""
    return node(node_id, "manualInput", inputVarName=name, inputVarValue=given)


def field(node_id: str, name: str, template: Any) -> Document:
    """Return a node that sets a field."""
    return node(node_id, "addField", fieldName=name, fieldValue=template)


def http(node_id: str, url: str, method: str = "GET", **config: Any) -> Document:
    """Return a node that sends a request."""
    return node(node_id, "http", httpUrl=url, httpMethod=method, **config)


def graph(*parts: Document | str, port_key: str = "outputType") -> Document:
    """Return a document of nodes and of connections written as `from[.port] > to[.port]`."""
    lines = [part for part in parts if isinstance(part, str)]
    return {
        "nodes": [part for part in parts if not isinstance(part, str)],
        "connections": [_connection(f"c{i}", line, port_key) for i, line in enumerate(lines)],
    }


def chain(*nodes: Document) -> Document:
    """Return a document of nodes that follow one another."""
    pairs = pairwise(nodes)
    return graph(*nodes, *(f"{a['id']} > {b['id']}" for a, b in pairs))


def patient(target: HttpTarget, key: str, seconds: float = 1.5) -> Document:
    """Return a document whose second of three nodes takes a while, the first time."""
    slow = target.url(f"/slow?seconds={seconds}&times=1&key={key}")
    return chain(
        http("before", target.url(f"/json?key={key}-before")),
        http("slow", slow, "POST"),
        http("after", target.url(f"/json?key={key}-after")),
        node("out", "output"),
    )


def _connection(connection_id: str, line: str, port_key: str) -> Document:
    source, target = (end.strip().partition(".") for end in line.split(">"))
    made = {"id": connection_id, "fromNodeId": source[0], "toNodeId": target[0]}
    ports = {port_key: source[2], "inputPort": target[2]}
    return made | {key: port for key, port in ports.items() if port}
