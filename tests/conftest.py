"""How the tests are shared out between processes, when there are several (`pytest -n 2`)."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

SHARED_SERVICE = frozenset(
    {
        "tests/integration/test_defects.py",
        "tests/integration/test_defects_outside.py",
        "tests/integration/test_front_end.py",
        "tests/integration/test_prefect_outage.py",
        "tests/integration/test_prefect_picture.py",
    }
)
"""These files use one service with Prefect, which takes long to start: one process has them."""

ONE_BY_ONE = frozenset({"tests/integration/test_survival.py"})
"""Each test of these takes seconds and shares nothing."""


class ByService(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps the tests of a file in one process, those of the shared service too.

    xdist's own `xdist_group` does nothing under the pytest of the lock.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        if file in SHARED_SERVICE:
            return "service"
        return nodeid if file in ONE_BY_ONE else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByService | None:
    """Share out as above, unless `--dist` asks for another way."""
    return ByService(config, log) if config.getoption("dist") == "load" else None
