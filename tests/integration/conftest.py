"""What the integration tests share: one service per test process, and the servers it calls."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from config import Settings
from examples.data_server import address, make_server
from store.engine import Database
from tests.invariants import check_execution
from tests.servers.http_target import HttpTarget
from tests.servers.in_thread import in_thread
from tests.servers.prefect_template import shared_folder, template
from tests.servers.service import Service, service

Audit = Callable[[Service, Iterable[str]], None]
Figure = Callable[[str, object], None]
"""`record_property`: a measured figure, kept with the results of the run (`--junitxml`)."""


@pytest.fixture(scope="session")
def audit() -> Audit:
    """Check everything that holds for every finished execution, in a service's own database."""

    async def check(data_dir: Path, execution_ids: Iterable[str]) -> None:
        database = Database.open(Settings(_env_file=None, data_dir=data_dir))
        try:
            for execution_id in execution_ids:
                await check_execution(database, execution_id)
        finally:
            await database.close()

    return lambda started, ids: asyncio.run(check(started.data_dir, ids))


@pytest.fixture(scope="session")
def prefect_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh database of Prefect, to be copied."""
    return template(shared_folder(tmp_path_factory))


@pytest.fixture(scope="session")
def target() -> Iterator[HttpTarget]:
    """A server for HTTP nodes. Give each test's requests a `key` of their own."""
    with in_thread(HttpTarget()) as running:
        yield running


@pytest.fixture(scope="session")
def data_url() -> Iterator[str]:
    """The address of the server that the examples read from."""
    with make_server(0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield address(server)
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
    prefect_database: Path,
    target: HttpTarget,
    data_url: str,
) -> Iterator[Service]:
    """A service with Prefect that lasts for the whole run. Tests ask for `running` instead."""
    allowed = f"{target.host},{data_url.removeprefix('http://')}"
    folder = tmp_path_factory.mktemp("service")
    with service(folder, prefect_database, HTTP_ALLOWED_HOSTS=allowed) as started:
        yield started


@pytest.fixture
def running(shared: Service) -> Service:
    """The shared service, complete again if a test before has killed a part of it.

    Its nodes may call the two servers of the tests, and nothing else on this machine.
    """
    shared.await_ready()
    return shared


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow the first test of the shared service the time of its start."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(180))
