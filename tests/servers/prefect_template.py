"""Prefect's database, made once per test run and copied for each server that is started.

A first start of Prefect's server creates its database, for about ten seconds. With `plant` the
server finds it already there:

    plant(template(shared_folder(tmp_path_factory)), data_dir)
    with prefect_server(data_dir) as server:
        ...
"""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

from config import Settings
from flows.prefect_settings import server_environment

ROOT = Path(__file__).parents[2]
MAKING_SECONDS = 150.0
NAME = "prefect.db"


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Return a folder that every xdist worker of this test run has in common."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def template(folder: Path) -> Path:
    """Return a fresh Prefect database in `folder`; who comes first makes it, others wait."""
    made = folder / "prefect-template" / NAME
    # SQLite's lock is one that every system has, and that ends with the process that holds it.
    with closing(sqlite3.connect(folder / "prefect-template.lock", timeout=MAKING_SECONDS)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        if not made.exists():
            _make(folder / "prefect-draft")
            (folder / "prefect-draft").replace(made.parent)
    return made


def plant(made: Path, data_dir: Path) -> None:
    """Give a data folder a copy of the template, unless it has a database."""
    data_dir.mkdir(parents=True, exist_ok=True)
    if not (data_dir / NAME).exists():
        shutil.copyfile(made, data_dir / NAME)


def _make(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(
        [sys.executable, "-m", "tests.servers.prefect_template", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=MAKING_SECONDS,
    )


def _main(folder: Path) -> None:
    settings = Settings(data_dir=folder, prefect_api_url=None)
    folder.mkdir(parents=True)
    os.environ.update(server_environment(settings))
    # By name, since Prefect reads its environment while it is imported.
    create = import_module("prefect.server.database").provide_database_interface().create_db
    asyncio.run(create())


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
