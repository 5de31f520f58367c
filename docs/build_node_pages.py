"""Writes `docs/node_types/`: a page for each built-in node type, from its configuration model.

    python -m docs.build_node_pages

Configurations and inputs of the examples are in `docs/node_types/examples.json`; their outputs
come from running the node, save for `http`, which would need a server.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from config import Settings
from core.plan import PlanNode
from docs.common_node_keys import COMMON
from tasks.attempt import run_attempt
from tasks.config_check import keys_by_field
from tasks.context import NodeContext
from tasks.load import load_node_types
from tasks.outcomes import Completed
from tasks.registry import BUILT_IN, NodeType
from tasks.resources import Resources

FOLDER = Path(__file__).parent / "node_types"

NEEDS_A_SERVER = frozenset({"http"})

WIDTH = 90
NONE = "none"

Schema = Mapping[str, Any]


def main() -> None:
    """Write all pages."""
    for name, page in asyncio.run(build_pages()).items():
        (FOLDER / name).write_text(page, "utf-8")


async def build_pages() -> dict[str, str]:
    """Return every page by its file name."""
    load_node_types()
    types = dict(sorted(BUILT_IN.types().items(), key=lambda item: item[0].casefold()))
    examples = json.loads((FOLDER / "examples.json").read_text("utf-8"))
    pages = {"README.md": _index(types.values())}
    for name, node_type in types.items():
        example = await _example(node_type, examples[name])
        pages[f"{name}.md"] = "\n".join([*_head(node_type), *_configuration(node_type), *example])
    return pages


def _index(types: Iterable[NodeType]) -> str:
    rows = [
        f"| [`{t.spec.name}`]({t.spec.name}.md) | {t.spec.title} | {_first_sentence(t)} |"
        for t in types
    ]
    return "\n".join(
        [
            "# Node types",
            "",
            "Made by `python -m docs.build_node_pages` from the code. Every text in a",
            "configuration may be a template: see [expressions](../expressions.md).",
            "",
            "| type | title | what it does |",
            "| --- | --- | --- |",
            *rows,
            "",
            COMMON,
        ]
    )


def _first_sentence(node_type: NodeType) -> str:
    return _cell(node_type.description.split("\n\n", 1)[0])


def _head(node_type: NodeType) -> list[str]:
    spec = node_type.spec
    return [
        f"# {spec.title}",
        "",
        f"Type `{spec.name}`. {_facts(node_type)}",
        "",
        node_type.description,
        "",
    ]


def _facts(node_type: NodeType) -> str:
    spec = node_type.spec
    if not spec.executable:
        return "It is never executed."
    ports = ", ".join(f"`{port}`" for port in spec.ports({}))
    facts = [f"Inputs: {', '.join(f'`{port}`' for port in spec.input_ports)}."] * bool(
        spec.input_ports
    )
    facts.append("Nothing follows it." if spec.terminal else f"Ports: {ports}.")
    if spec.trigger:
        facts.append("It starts executions.")
    facts.append("It touches nothing outside." if node_type.pure else "It calls another service.")
    if node_type.timeout:
        facts.append(f"It may take {node_type.timeout:g} seconds.")
    return " ".join(facts)


def _configuration(node_type: NodeType) -> list[str]:
    model = node_type.config_model
    schema = model.model_json_schema()
    if not schema.get("properties"):
        return ["## Configuration", "", "There is nothing to set.", ""]
    others = {keys[0]: keys[1:] for keys in keys_by_field(model).values()}
    lines = ["## Configuration", "", *_table(schema, others)]
    for key, inner in schema["properties"].items():
        found = _inner(inner, schema.get("$defs", {}))
        if found is not None:
            each = "Each object of" if _has_items(inner) else "The object"
            lines += [f"### {each} `{key}`", "", str(found.get("description", "")), ""]
            lines += _table(found, {})
    verbatim = sorted(key for key in node_type.spec.verbatim if key in schema["properties"])
    if verbatim and node_type.spec.executable:
        keys = ", ".join(f"`{key}`" for key in verbatim)
        lines += [f"Templates in {keys} are not rendered before the node runs.", ""]
    return lines


def _table(schema: Schema, others: Mapping[str, Sequence[str]]) -> list[str]:
    required = schema.get("required", [])
    rows = []
    for key, field in schema["properties"].items():
        default = "required" if key in required else _default(field)
        also = ", ".join(f"`{name}`" for name in others.get(key, ()))
        said = [field.get("description", ""), _samples(field), also and f"Other names: {also}."]
        text = " ".join(filter(None, said))
        rows.append(f"| `{key}` | {_cell(type_text(field))} | {default} | {_cell(text)} |")
    return ["| key | type | default | description |", "| --- | --- | --- | --- |", *rows, ""]


def _samples(field: Schema) -> str:
    shown = ", ".join(f"`{_json(value)}`" for value in field.get("examples", ()))
    return shown and f"For example: {shown}."


def _default(field: Schema) -> str:
    if "default" in field:
        value = field["default"]
        return NONE if value is None else _cell(f"`{_json(value)}`")
    return "`[]`" if field.get("type") == "array" else NONE


_KINDS = {
    "boolean": ("`true` or `false`", "", "", ""),
    "integer": ("whole number", "minimum", "maximum", ""),
    "number": ("number", "minimum", "maximum", ""),
    "string": ("text", "minLength", "maxLength", " characters"),
    "object": ("object", "", "", ""),
}
"""By type: words, the keywords of its least and largest, and their unit."""


def type_text(schema: Schema) -> str:
    """Put a field's JSON Schema into words."""
    if "enum" in schema:
        return _either([f"`{_json(value)}`" for value in schema["enum"]])
    if "anyOf" in schema:
        kinds = [type_text(part) for part in schema["anyOf"] if part.get("type") != "null"]
        return _either(list(dict.fromkeys(kinds)))
    if "$ref" in schema:
        return "object"
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items", {})
        return "pair" if "prefixItems" in schema else f"list of {_plural(type_text(items))}"
    name, low, high, unit = _KINDS.get(str(kind), ("any JSON", "", "", ""))
    return name + _bounds(schema, low, high, unit)


def _bounds(schema: Schema, low: str, high: str, unit: str) -> str:
    if low in schema and high in schema:
        return f" ({schema[low]:,} to {schema[high]:,}{unit})"
    if high in schema:
        return f" (at most {schema[high]:,}{unit})"
    return f" (at least {schema[low]:,}{unit})" if low in schema else ""


def _plural(kind: str) -> str:
    return {"text": "texts", "object": "objects", "pair": "pairs"}.get(kind, kind)


def _either(kinds: list[str]) -> str:
    return " or ".join([", ".join(kinds[:-1]), kinds[-1]]) if len(kinds) > 1 else kinds[0]


def _has_items(schema: Schema) -> bool:
    return "items" in schema


def _inner(schema: Schema, definitions: Schema) -> Schema | None:
    """Return the object that a field holds, alone or in a list, if it is of a kind of its own."""
    for part in (schema, schema.get("items", {}), *schema.get("anyOf", ())):
        if "$ref" in part:
            found: Schema = definitions[part["$ref"].rpartition("/")[2]]
            return found
    return None


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


async def _example(node_type: NodeType, example: Mapping[str, Any]) -> list[str]:
    name = node_type.spec.name
    node = {"id": f"{name}-1", "type": name, "config": example["config"]}
    lines = ["## Example", "", *_block(node)]
    if "input" in example:
        lines += ["Input:", "", *_block(example["input"])]
    if name in NEEDS_A_SERVER or not node_type.spec.executable:
        return lines
    result = await _run(node_type, example)
    for port in result.ports:
        through = f" through `{port}`" if len(node_type.spec.ports({})) > 1 else ""
        lines += [f"Output{through}:", "", *_block(result.value_for(port))]
    return lines


def _block(value: Any) -> list[str]:
    return ["```json", _layout(value), "```", ""]


def _layout(value: Any, indent: str = "") -> str:
    """Write JSON with each object or list on one line if it fits there."""
    line = _json(value)
    if len(indent) + len(line) <= WIDTH or not isinstance(value, dict | list) or not value:
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        parts = [f"{inner}{_json(key)}: {_layout(item, inner)}" for key, item in value.items()]
        return "\n".join(["{", ",\n".join(parts), indent + "}"])
    parts = [inner + _layout(item, inner) for item in value]
    return "\n".join(["[", ",\n".join(parts), indent + "]"])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


async def _run(node_type: NodeType, example: Mapping[str, Any]) -> Completed:
    name = node_type.spec.name
    settings = Settings(_env_file=None)
    node = PlanNode(f"{name}-1", name, name, example["config"])
    async with Resources(settings) as resources:
        context = NodeContext(settings, resources, node_id=node.id, workflow_name="Orders")
        outcome = await run_attempt(node_type, node, example.get("input"), context)
    if not isinstance(outcome, Completed):
        raise TypeError(f"The example of {name} fails: {outcome.failure.message}")
    return outcome


if __name__ == "__main__":
    main()
