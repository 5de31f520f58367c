"""How node types are found: this package, NODE_HANDLERS, and other packages."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from core.catalogue import NodeSpec
from core.errors import ConfigError
from tasks.handlers import AnyConfig
from tasks.load import collect, load_node_types
from tasks.registry import BUILT_IN, NodeType, Registry

SAMPLES = "tests.unit.handler_samples"


async def _nothing(_config: AnyConfig, _data: object, _context: object) -> None:
    return None


def add_two(registry: Registry) -> None:
    for name in ("one_more", "another"):
        registry.add(NodeType(NodeSpec(name), AnyConfig, _nothing, origin=__name__))


def _module(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> str:
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_node_types_are_found_once() -> None:
    assert load_node_types() is load_node_types()
    assert set(load_node_types().types()) == set(BUILT_IN.types())


def test_finding_them_again_finds_the_same() -> None:
    first, second = (collect([], SAMPLES) for _ in range(2))
    assert set(first.types()) == set(second.types())
    assert {"http", "double"} <= set(first.types())
    assert "double" not in BUILT_IN.types()


@pytest.mark.parametrize("name", sorted(set(load_node_types().types()) - {"http"}))
def test_every_setting_is_described_under_its_own_key(name: str) -> None:
    schema = load_node_types().types()[name].config_model.model_json_schema()
    for key, setting in schema.get("properties", {}).items():
        assert setting.get("description"), key
        assert "_" not in key


# R003-25
def test_a_new_file_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "from tasks.registry import NodeConfig, Registry, node\n"
        "FOUND = Registry()\n"
        "class C(NodeConfig):\n    size: int = 1\n"
        "@node('brand_new', registry=FOUND)\n"
        "async def brand_new(config: C, data, context):\n    return config.size\n"
    )
    name = _module(tmp_path, monkeypatch, "cauce_new_file", text)
    collect([name], SAMPLES)
    found = collect([name], SAMPLES, built_in=sys.modules[name].FOUND)
    assert "brand_new" in found.types()


def test_other_packages_add_theirs() -> None:
    point = EntryPoint("mine", f"{__name__}:add_two", "cauce.nodes")
    found = collect([], SAMPLES, [point], Registry())
    assert {"one_more", "another", "double"} <= set(found.types())


def test_a_name_is_given_once_and_both_places_are_told() -> None:
    taken = Registry()
    taken.add(NodeType(NodeSpec("double"), AnyConfig, _nothing, origin="tasks.mine.double"))
    with pytest.raises(ConfigError) as caught:
        collect([], SAMPLES, built_in=taken)
    assert '"double"' in str(caught.value)
    assert "tasks.mine.double" in str(caught.value)
    assert f"{SAMPLES}.NODE_HANDLERS" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("x = 1\nimport cauce_not_installed\n", "ModuleNotFoundError", 2),
        ("x = 1\n\ndef broken(:\n", "SyntaxError", 3),
        ("def f():\n    return 1 / 0\n\nf()\n", "ZeroDivisionError", 2),
    ],
)
def test_a_file_that_cannot_be_imported_is_told_with_its_line(
    text: str, said: str, line: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = _module(tmp_path, monkeypatch, f"cauce_broken_{said.lower()}", text)
    for modules, handlers in (([name], SAMPLES), ([], name)):
        with pytest.raises(ConfigError) as caught:
            collect(modules, handlers)
        assert said in str(caught.value)
        assert f"({name}.py, line {line})" in str(caught.value)


def test_a_package_that_cannot_be_loaded_is_told() -> None:
    point = EntryPoint("theirs", "cauce_not_installed:add", "cauce.nodes")
    with pytest.raises(ConfigError, match="theirs"):
        collect([], SAMPLES, [point])


def test_a_handler_must_be_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = _module(tmp_path, monkeypatch, "cauce_odd_handlers", "NODE_HANDLERS = {'x': 5}\n")
    with pytest.raises(ConfigError, match="not a function"):
        collect([], name)
