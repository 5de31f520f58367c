"""Finds all node types: those of this package, of `NODE_HANDLERS`, and of installed packages."""

import importlib
import pkgutil
import traceback
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

import tasks
from core.errors import ConfigError
from tasks.handler_call import function_of
from tasks.handlers import node_type_of
from tasks.registry import BUILT_IN, Registry

ENTRY_POINTS = "cauce.nodes"
"""The group in which a package names modules to import, or functions that take a registry."""


@lru_cache(maxsize=1)
def load_node_types() -> Registry:
    """Return all node types of this process, found once.

    Raises `ConfigError` when a file cannot be imported or two types have one name.
    """
    modules = [f"{tasks.__name__}.{found.name}" for found in pkgutil.iter_modules(tasks.__path__)]
    plugins = entry_points(group=ENTRY_POINTS)
    return collect(modules, f"{tasks.__name__}.node_handlers", plugins)


def collect(
    modules: Iterable[str],
    handlers_module: str,
    plugins: Iterable[EntryPoint] = (),
    built_in: Registry = BUILT_IN,
) -> Registry:
    """Import modules and plugins; return what they and `handlers_module` define.

    What `@node` registers goes to `built_in`, which is left out of the result's own additions:
    a second call gives the same result. Raises `ConfigError`.
    """
    for name in modules:
        _imported(name)
    extensions = [_loaded(plugin) for plugin in plugins]
    registry = Registry()
    for node_type in built_in.types().values():
        registry.add(node_type)
    for name, handler in _imported(handlers_module).NODE_HANDLERS.items():
        if not callable(function_of(handler)):
            raise ConfigError(f'NODE_HANDLERS["{name}"] in {handlers_module} is not a function.')
        registry.add(node_type_of(name, handler, handlers_module))
    for extension in extensions:
        if callable(extension):
            extension(registry)
    return registry


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(_sentence(name, error)) from error


def _loaded(plugin: EntryPoint) -> object:
    try:
        return plugin.load()
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(_sentence(f"{plugin.name} ({plugin.value})", error)) from error


def _sentence(name: str, error: Exception) -> str:
    file, line = _place(error)
    said = f"{type(error).__name__}: {error}"
    return f"The node types of {name} cannot be loaded: {said} ({file}, line {line})."


def _place(error: Exception) -> tuple[str, int | None]:
    """Return the file and line to look at: the last ones outside of the import machinery."""
    if isinstance(error, SyntaxError) and error.filename:
        return Path(error.filename).name, error.lineno
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen")
    ]
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return Path(own[-1].filename).name, own[-1].lineno
