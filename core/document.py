"""The shape of a user's document: its fields, and the nodes and connections that can be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.findings import Place, check_size, quote
from core.node_ids import check_ids, id_fault
from core.plan import PlanSettings
from core.policy_config import LONGEST_NAME, read_label, read_settings
from core.readers import read_array, read_object, read_string, refuse_unknown

VERSION = 1
"""The only version of the document format. A document may leave it out."""

LONGEST_TYPE = 128

_TOP = frozenset(
    {"nodes", "connections", "settings", "version", "schemaVersion", "name", "id"}
    | {"description", "viewport", "ui", "meta"}
)
_NODE = frozenset({"id", "type", "label", "config"})
_RUN_TIME = frozenset(
    {"status", "executionResult", "data", "inputData", "inputDataA", "inputDataB"}
    | {"outputData", "conditionResult"}
)
_NODE_UI = frozenset(
    {"x", "y", "width", "height", "ui", "position", "selected", "dragging", "name", "notes"}
    | {"color", "icon", "style", "zIndex", "meta"}
)
_EDGE = frozenset({"fromNodeId", "toNodeId", "outputType", "fromPort", "inputPort"})
_EDGE_UI = frozenset(
    {"id", "label", "ui", "type", "style", "color", "selected", "animated", "points", "meta"}
)


@dataclass(frozen=True, slots=True)
class DraftNode:
    """A node as far as it can be read: `id` and `type` are None where they are wrong.

    `sound` says that its configuration holds nothing that no field may hold.
    """

    index: int
    place: Place
    id: str | None
    type: str | None
    label: str | None
    config: Mapping[str, Any]
    raw: Mapping[str, Any]
    sound: bool = True


@dataclass(frozen=True, slots=True)
class DraftEdge:
    """A connection whose ends and ports are strings, of nodes that may not exist.

    `port_key` is the field that names the source port.
    """

    place: Place
    source: str
    target: str
    port: str | None
    input_port: str | None
    port_key: str = "outputType"


@dataclass(frozen=True, slots=True)
class Draft:
    """A document as far as it can be read. `mentioned` holds every id that a node gives itself."""

    nodes: list[DraftNode] = field(default_factory=list)
    edges: list[DraftEdge] = field(default_factory=list)
    settings: PlanSettings = field(default_factory=PlanSettings)
    mentioned: frozenset[str] = frozenset()


def read_document(
    place: Place, document: Any, max_nodes: int, max_edges: int, max_string: int
) -> Draft:
    """Return what can be read of `document`, recording every problem of its shape.

    A document over the limits is not read further than its counts.
    """
    given = read_object(place, document)
    if given is None:
        return Draft()
    raw_nodes = _read_list(place, given, "nodes")
    raw_edges = [] if given.get("connections") is None else _read_list(place, given, "connections")
    if not _counts_fit(place, len(raw_nodes or ()), max_nodes, len(raw_edges or ()), max_edges):
        return Draft()
    _check_top(place, given, max_string)
    settings = read_settings(place.at("settings"), given.get("settings"))
    nodes = [
        node
        for i, raw in enumerate(raw_nodes or ())
        if (node := _read_node(place.at("nodes", i), i, raw, max_string))
    ]
    check_ids([(node.id, node.place) for node in nodes if node.id is not None])
    edges = [
        edge
        for i, raw in enumerate(raw_edges or ())
        if (edge := _read_edge(place.at("connections", i), raw, max_string))
    ]
    mentioned = frozenset(node.raw["id"] for node in nodes if isinstance(node.raw.get("id"), str))
    return Draft(nodes, edges, settings, mentioned)


def _read_list(place: Place, given: Mapping[str, Any], key: str) -> list[Any] | None:
    if key not in given:
        place.at(key).error("required", f"The document has no {quote(key)}: add the array.")
        return None
    items = read_array(place.at(key), given[key])
    if items == [] and key == "nodes":
        place.at(key).error("graph_empty", "The workflow has no nodes: add at least one.")
    return items


def _counts_fit(place: Place, nodes: int, max_nodes: int, edges: int, max_edges: int) -> bool:
    if nodes > max_nodes:
        place.at("nodes").error(
            "graph_too_many_nodes",
            f"The workflow has {nodes:,} nodes: the limit is {max_nodes:,}.",
        )
    if edges > max_edges:
        place.at("connections").error(
            "graph_too_many_edges",
            f"The workflow has {edges:,} connections: the limit is {max_edges:,}.",
        )
    return nodes <= max_nodes and edges <= max_edges


def _check_top(place: Place, given: Mapping[str, Any], max_string: int) -> None:
    refuse_unknown(place, given, _TOP)
    for key in ("version", "schemaVersion"):
        if key in given and (type(given[key]) is not int or given[key] != VERSION):
            place.at(key).error(
                "version_unsupported",
                f"Version {quote(given[key])} is not supported: write {VERSION} or leave it out.",
            )
    if given.get("name") is not None:
        read_string(place.at("name"), given["name"], LONGEST_NAME)
    for key in ("settings", "name", "id", "description", "viewport", "ui", "meta"):
        if key in given:
            check_size(place.at(key), given[key], max_string, numbers=key == "settings")


def _read_node(place: Place, index: int, value: Any, max_string: int) -> DraftNode | None:
    raw = read_object(place, value)
    if raw is None:
        return None
    node_id = _read_id(place, raw)
    place = place.of(node_id)
    refuse_unknown(place, raw, _NODE | _RUN_TIME | _NODE_UI)
    _check_extras(place, raw, _NODE_UI, max_string)
    kind = _read_required(place, raw, "type")
    if kind is not None and not check_size(place.at("type"), kind, LONGEST_TYPE):
        kind = None
    config: Mapping[str, Any] = {}
    if raw.get("config") is not None:
        config = read_object(place.at("config"), raw["config"]) or {}
    sound = check_size(place.at("config"), config, max_string)
    check_size(place.at("label"), raw.get("label"), max_string)
    label = read_label(place, raw, config)
    return DraftNode(index, place, node_id, kind, label, config, raw, sound)


def _check_extras(
    place: Place, raw: Mapping[str, Any], names: frozenset[str], max_string: int
) -> None:
    for key, value in raw.items():
        if key in names:
            check_size(place.at(key), value, max_string, numbers=False)


def _read_id(place: Place, raw: Mapping[str, Any]) -> str | None:
    node_id = _read_required(place, raw, "id")
    fault = None if node_id is None else id_fault(node_id)
    if fault is None:
        return node_id
    place.at("id").error(*fault)
    return None


def _read_required(place: Place, raw: Mapping[str, Any], key: str) -> str | None:
    if key not in raw:
        place.at(key).error("required", f"There is no {quote(key)}: add it.")
        return None
    return read_string(place.at(key), raw[key])


def _read_edge(place: Place, value: Any, max_string: int) -> DraftEdge | None:
    raw = read_object(place, value)
    if raw is None:
        return None
    refuse_unknown(place, raw, _EDGE | _EDGE_UI)
    _check_extras(place, raw, _EDGE_UI, max_string)
    source = _read_required(place, raw, "fromNodeId")
    target = _read_required(place, raw, "toNodeId")
    output = _read_port(place, raw, "outputType")
    port = _read_port(place, raw, "fromPort")
    if output and port and output != port:
        place.at("fromPort").error(
            "edge_handle_conflict",
            f'"outputType" says {quote(output)} and "fromPort" {quote(port)}: write one of them.',
        )
    input_port = _read_port(place, raw, "inputPort")
    if source is None or target is None:
        return None
    key = "outputType" if output or not port else "fromPort"
    return DraftEdge(place, source, target, output or port, input_port, key)


def _read_port(place: Place, raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    return None if value is None or value == "" else read_string(place.at(key), value)
