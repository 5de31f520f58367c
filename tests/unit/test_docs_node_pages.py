"""`docs/node_types/`: the pages say what the code says."""

import json
import re
from typing import Any

import pytest

from core.policy_config import COMMON_KEYS
from docs.build_node_pages import FOLDER, build_pages, type_text
from tasks.load import load_node_types
from tasks.registry import BUILT_IN

load_node_types()
TYPES = BUILT_IN.types()
EXAMPLES: dict[str, dict[str, Any]] = json.loads((FOLDER / "examples.json").read_text("utf-8"))


async def test_the_pages_are_up_to_date() -> None:
    pages = await build_pages()
    written = {file.name: file.read_text("utf-8") for file in FOLDER.glob("*.md")}
    assert written == pages, "Run: python -m docs.build_node_pages"


def test_every_node_type_has_a_page_and_an_example_and_no_other() -> None:
    assert {file.stem for file in FOLDER.glob("*.md")} == {*TYPES, "README"}
    assert set(EXAMPLES) == set(TYPES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_configuration_of_an_example_is_valid(name: str) -> None:
    assert TYPES[name].spec.check_config(EXAMPLES[name]["config"]) == []


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_page_names_every_key_and_describes_the_type(name: str) -> None:
    page = (FOLDER / f"{name}.md").read_text("utf-8")
    assert TYPES[name].description in page
    for key in TYPES[name].config_model.model_json_schema().get("properties", {}):
        assert f"| `{key}` |" in page


def test_the_keys_of_every_node_are_listed() -> None:
    index = (FOLDER / "README.md").read_text("utf-8").partition("## Keys of every node")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", index, re.MULTILINE)) == COMMON_KEYS


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({}, "any JSON"),
        ({"type": "boolean"}, "`true` or `false`"),
        ({"type": "integer", "minimum": 1, "maximum": 5000}, "whole number (1 to 5,000)"),
        ({"type": "number", "minimum": 0}, "number (at least 0)"),
        ({"type": "string", "maxLength": 9}, "text (at most 9 characters)"),
        ({"enum": ["a", "b", "c"]}, '`"a"`, `"b"` or `"c"`'),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"type": "array", "items": {"$ref": "#/$defs/Row"}}, "list of objects"),
    ],
)
def test_a_schema_in_words(schema: dict[str, Any], text: str) -> None:
    assert type_text(schema) == text
