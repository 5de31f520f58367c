"""A small catalogue, builders for documents, random valid documents and ways to break them."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from core.catalogue import Catalogue, Config, NodeSpec
from core.errors import Problem

Document = dict[str, Any]


def _needs_url(config: Config) -> list[Problem]:
    if "httpUrl" in config:
        return []
    return [Problem("required", "There is no URL: add one.", "/httpUrl")]


CATALOGUE: Catalogue = {
    spec.name: spec
    for spec in (
        NodeSpec("trigger", trigger=True),
        NodeSpec("webhook", trigger=True),
        NodeSpec("schedule", trigger=True),
        NodeSpec("manualInput"),
        NodeSpec("addField"),
        NodeSpec("http", check_config=_needs_url),
        NodeSpec("python", verbatim=frozenset({"code"})),
        NodeSpec("condition", ports=lambda _config: ("true", "false")),
        NodeSpec("splitColumns", ports=lambda _config: ("A", "B")),
        NodeSpec("join", input_ports=("A", "B"), min_inputs=1),
        NodeSpec("output"),
        NodeSpec("end", terminal=True),
        NodeSpec("comment", executable=False),
    )
}


def node(node_id: str, kind: str = "addField", **config: Any) -> Document:
    """Return a node of a document."""
    return {"id": node_id, "type": kind, "label": node_id, "x": 0, "y": 0, "config": config}


def edge(
    source: str, target: str, port: str | None = None, input_port: str | None = None
) -> Document:
    """Return a connection of a document; ports that are None are left out."""
    found: Document = {"fromNodeId": source, "toNodeId": target}
    found |= {"outputType": port} if port is not None else {}
    return found | ({"inputPort": input_port} if input_port is not None else {})


def document(nodes: list[Any], *edges: Any, **top: Any) -> Document:
    """Return a document."""
    return {"nodes": nodes, "connections": list(edges), **top}


def chain(length: int) -> Document:
    """Return `length` nodes (`n0`, `n1`, …) one after the other."""
    return document(
        [node(f"n{i}") for i in range(length)],
        *(edge(f"n{i}", f"n{i + 1}") for i in range(length - 1)),
    )


def ring(length: int) -> Document:
    """Return a chain whose end leads back to its beginning."""
    found = chain(length)
    found["connections"].append(edge(f"n{length - 1}", "n0"))
    return found


def complete(length: int) -> Document:
    """Return a graph with a connection from every node to every later one."""
    pairs = ((i, j) for i in range(length) for j in range(i + 1, length))
    return document(
        [node(f"n{i}") for i in range(length)], *(edge(f"n{i}", f"n{j}") for i, j in pairs)
    )


def diamonds(layers: int) -> Document:
    """Return `layers` diamonds in a row: 2 ** layers paths from the first node to the last."""
    found = document([node("top0")])
    for i in range(layers):
        top, left, right, bottom = f"top{i}", f"left{i}", f"right{i}", f"top{i + 1}"
        found["nodes"] += [node(left), node(right), node(bottom)]
        found["connections"] += [edge(top, left), edge(top, right)]
        found["connections"] += [edge(left, bottom), edge(right, bottom)]
    return found


_SOURCES: Mapping[str, tuple[str | None, ...]] = {
    "condition": ("true", "false"),
    "splitColumns": ("A", "B"),
    "end": (),
    "comment": (),
}
_KINDS = sorted(set(CATALOGUE) - {"http"})


@st.composite
def documents(draw: st.DrawFn, min_nodes: int = 1, max_nodes: int = 12) -> Document:
    """Draw a valid document: a random DAG with every kind of node, in any order of its nodes."""
    kinds = draw(st.lists(st.sampled_from(_KINDS), min_size=min_nodes, max_size=max_nodes))
    prefix = draw(st.sampled_from(["n", "Knoten-é", "節点_", "node with spaces "]))
    names = [f"{prefix}{i}" for i in range(len(kinds))]
    edges: list[Document] = []
    for j, kind in enumerate(kinds):
        sources = [(i, port) for i in range(j) for port in _SOURCES.get(kinds[i], (None, "out"))]
        if kind == "join" and not sources:
            kinds[j] = "addField"
        if not sources or CATALOGUE[kind].trigger or kind == "comment":
            continue
        chosen = st.lists(
            st.sampled_from(sources), unique_by=lambda s: s[0], min_size=int(kind == "join")
        )
        for i, port in draw(chosen):
            input_port = draw(st.sampled_from(["A", "B"])) if kinds[j] == "join" else None
            edges.append(edge(names[i], names[j], port, input_port))
    nodes = [node(name, kind) for name, kind in zip(names, kinds, strict=True)]
    if "join" not in kinds:
        for item in nodes:
            item["config"] |= draw(st.sampled_from([{}, {}, {"disabled": True}]))
    return document(draw(st.permutations(nodes)), *draw(st.permutations(edges)))


Mutator = Callable[[Document], None]


def _with_node(**fields: Any) -> Mutator:
    def mutate(found: Document) -> None:
        found["nodes"].append(node("extra") | fields)

    return mutate


def _without(key: str) -> Mutator:
    def mutate(found: Document) -> None:
        found["nodes"].append(node("extra"))
        del found["nodes"][-1][key]

    return mutate


def _with(*parts: Document) -> Mutator:
    """Add nodes and connections: what has an id is a node."""

    def mutate(found: Document) -> None:
        found["nodes"] += [part for part in parts if "id" in part]
        found["connections"] += [part for part in parts if "id" not in part]

    return mutate


def _with_top(**fields: Any) -> Mutator:
    def mutate(found: Document) -> None:
        found.update(fields)

    return mutate


def _deep(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


def _config(**config: Any) -> Mutator:
    return _with(node("extra", **config))


_A, _B = node("extra a"), node("extra b")
_CONDITION, _JOIN = node("extra c", "condition"), node("extra j", "join")

MUTATORS: tuple[tuple[str, Mutator], ...] = (
    ("required", _without("id")),
    ("required", _without("type")),
    ("type_string_expected", _with_node(id=7)),
    ("type_string_expected", _with_node(type=None)),
    ("type_string_expected", _with_node(label=["a"])),
    ("type_object_expected", _with_node(config=[])),
    ("type_object_expected", lambda found: found["nodes"].append(None)),
    ("type_object_expected", lambda found: found["connections"].append("a -> b")),
    ("type_array_expected", _with_top(nodes={})),
    ("type_array_expected", _with_top(connections="none")),
    ("graph_empty", _with_top(nodes=[])),
    ("version_unsupported", _with_top(version=999)),
    ("field_unknown", _with_top(tenant_id="t")),
    ("field_unknown", _with_node(epoch=3)),
    ("id_empty", _with_node(id="  ")),
    ("id_too_long", _with_node(id="a" * 129)),
    ("id_chars", _with_node(id="a/b")),
    ("node_id_duplicate", lambda found: found["nodes"].append(dict(found["nodes"][0]))),
    ("node_id_confusable", _with(node("Zeta"), node("zETA"))),
    ("node_type_unknown", _with_node(type="teleport")),
    ("too_long", _with_node(label="a" * 201)),
    ("string_too_long", _config(text="a" * 262_145)),
    ("string_nul", _config(text="\0")),
    ("string_invalid_unicode", _config(text="\ud800")),
    ("json_nonfinite", _config(number=float("nan"))),
    ("json_too_deep", _config(value=_deep(100))),
    ("edge_source_unknown", _with(_A, edge("nobody", "extra a"))),
    ("edge_target_unknown", _with(_A, edge("extra a", "nobody"))),
    ("edge_self", _with(_A, edge("extra a", "extra a"))),
    ("edge_duplicate", _with(_A, _B, edge("extra a", "extra b"), edge("extra a", "extra b"))),
    ("edge_handle_unknown", _with(_A, _CONDITION, edge("extra c", "extra a", "True"))),
    ("edge_handle_missing", _with(_A, _CONDITION, edge("extra c", "extra a"))),
    (
        "edge_handle_conflict",
        _with(_A, _CONDITION, edge("extra c", "extra a", "true") | {"fromPort": "false"}),
    ),
    ("edge_input_port_unknown", _with(_A, _JOIN, edge("extra a", "extra j", None, "C"))),
    ("trigger_has_input", _with(_A, node("extra t", "trigger"), edge("extra a", "extra t"))),
    ("terminal_has_output", _with(_A, node("extra e", "end"), edge("extra e", "extra a"))),
    ("join_inputs", _with(_JOIN)),
    ("graph_cycle", _with(_A, _B, edge("extra a", "extra b"), edge("extra b", "extra a"))),
    ("number_range", _config(timeout=0)),
    ("number_range", _config(waitFor=2)),
    ("type_integer_expected", _config(retry=True)),
    ("type_number_expected", _config(timeout="10")),
    ("type_boolean_expected", _config(disabled="yes")),
    ("value_unknown", _config(onError="ignore")),
    ("reference_unknown", _config(text='{{ nodes["nobody"] }}')),
    (
        "reference_not_upstream",
        _with(_A, node("extra b", text='{{ nodes["extra a"] }}')),
    ),
)
"""Ways to break a valid document, each with the code that must be reported."""


@st.composite
def mutants(draw: st.DrawFn) -> tuple[Document, str]:
    """Draw a broken document and the code that must be among its errors."""
    found = copy.deepcopy(draw(documents()))
    code, mutate = draw(st.sampled_from(MUTATORS))
    mutate(found)
    return copy.deepcopy(found), code


_TEXT = st.text(st.characters(exclude_categories=()), max_size=12)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
"""Any JSON value, and NaN, infinity and lone surrogates besides."""

_WORDS = st.sampled_from(["a", "b", "c", "A", "true", "false", "out", "", "trigger", "join"])
_VALUES = _WORDS | json_values


def _objects(*keys: str) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, _VALUES))


near_documents: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "nodes": st.lists(
            st.builds(
                lambda base, config: base | {"config": config},
                st.fixed_dictionaries(
                    {"id": _WORDS, "type": st.sampled_from([*CATALOGUE, "Join", ""])},
                    optional={"label": _VALUES, "status": _VALUES, "other": _VALUES},
                ),
                _VALUES
                | _objects("retry", "timeout", "waitFor", "disabled", "onError", "customName"),
            )
            | _VALUES,
            max_size=6,
        ),
        "connections": st.lists(
            st.fixed_dictionaries(
                {"fromNodeId": _WORDS, "toNodeId": _WORDS},
                optional={"outputType": _VALUES, "fromPort": _VALUES, "inputPort": _VALUES},
            )
            | _VALUES,
            max_size=8,
        ),
    },
    optional={"settings": _VALUES | _objects("maxParallel", "timeout"), "version": _VALUES},
)
"""Values that look like documents, with anything in any field."""
