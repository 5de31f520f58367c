"""The house rules, checked: sizes, names, and imports that only go down. No exceptions listed."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50
BANNED_NAMES = {"utils", "common", "services", "helpers", "models"}

LEVELS = {
    "start_service": 9,
    "examples": 8,
    "api_service": 7,
    "api": 6,
    "flows": 5,
    "tasks": 4,
    "store": 4,
    "migrations": 4,
    "database": 3,
    "config": 2,
    "supervision": 2,
    "core": 1,
}
"""A module imports its own part, or parts on a lower level."""

ONLY_IN = {
    "prefect": ("flows/",),
    "sqlalchemy": ("database.py", "store/", "migrations/"),
    "fastapi": ("api_service.py", "api/"),
}


def tracked(*patterns: str) -> list[Path]:
    """Return the files that git knows or would take, below the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for line in sorted(set(listed.split("\n"))) if (path := ROOT / line).is_file()]


PYTHON = [path for path in tracked("*.py") if path.name]
OURS = [path for path in PYTHON if path.relative_to(ROOT).parts[0] not in {"tests", "benchmarks"}]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Yield every import statement of a file with the full name that it imports from."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: relative import"
            yield node, node.module or ""


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert not long


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_names_say_what_is_inside(path: Path) -> None:
    parts = {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}
    assert not parts & BANNED_NAMES


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_imports_only_go_down(path: Path) -> None:
    own = part_of(path)
    if own not in LEVELS:
        return
    for _, module in imports(path):
        part = module.split(".")[0]
        if part in LEVELS and part != own:
            assert LEVELS[part] < LEVELS[own], f"{own} imports {module}"


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_every_library_has_its_room(path: Path) -> None:
    for _, module in imports(path):
        rooms = ONLY_IN.get(module.split(".")[0])
        if rooms is not None:
            assert name_of(path).startswith(rooms), f"imports {module}"


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_imports_stand_at_the_top(path: Path) -> None:
    """Not inside functions or classes; a choice by platform is at the top too."""
    inside = {
        statement.lineno
        for outer in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for statement in ast.walk(outer)
        if isinstance(statement, ast.Import | ast.ImportFrom)
    }
    assert not inside


def test_no_module_shadows_a_top_level_one() -> None:
    """Prefect's loader would take `flows/config.py` for `config`."""
    top = {path.stem for path in OURS if path.parent == ROOT} | set(LEVELS)
    assert not {path.stem for path in tracked("flows/*.py")} & top


def test_the_required_layout_is_there() -> None:  # R003-26
    for name in (
        "pyproject.toml",
        "README.md",
        "api_service.py",
        "flows",
        "tasks",
        "database.py",
        "config.py",
        "start.sh",
        "start.bat",
        "tests",
        "start_service.py",
        "requirements.txt",
        "flows/workflow_flow.py",
        "tasks/node_handlers.py",
    ):
        assert (ROOT / name).exists(), name


def test_a_status_has_one_writer() -> None:
    """Only `store/transitions.py` writes the status column of an execution."""
    writers = {
        name_of(path)
        for path in OURS
        if "executions.update()" in path.read_text(encoding="utf-8")
        and "status=ExecutionStatus" in path.read_text(encoding="utf-8")
    }
    assert writers == {"store/transitions.py"}
