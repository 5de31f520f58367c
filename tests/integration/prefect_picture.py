"""What Prefect's API shows of executions, and what its database holds of them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.servers.service import Service

Run = dict[str, Any]
SHOWN_SECONDS = 15.0
"""Task runs are written in batches: the picture is a moment late."""
_FINAL = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


class PrefectPicture:
    """Asks the Prefect server of a service."""

    def __init__(self, started: Service) -> None:
        self._started = started

    def flow_run(self, execution_id: str) -> Run:
        """Return the one flow run of an execution, once it is final."""
        return self.flow_runs(execution_id, 1)[0]

    def flow_runs(self, execution_id: str, count: int) -> list[Run]:
        """Return the flow runs of an execution, once there are so many and all are final."""
        body = {"flow_runs": {"name": {"like_": execution_id}}}
        return self._until(lambda: self._final("/flow_runs/filter", body, count), "flow runs")

    def task_runs(self, flow_run: Run, count: int) -> list[Run]:
        """Return the task runs of a flow run by start, once there are so many and all are final."""
        body = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
        found = self._until(lambda: self._final("/task_runs/filter", body, count), "task runs")
        return sorted(found, key=lambda run: str(run["start_time"]))

    def stored_bytes(self) -> bytes:
        """Return all that Prefect keeps on disk: its database, the files beside it, its home."""
        folder: Path = self._started.data_dir
        files = [*folder.glob("prefect.db*"), *(folder / "prefect").rglob("*")]
        return b"\n".join(file.read_bytes() for file in files if file.is_file())

    def _final(self, path: str, body: Any, count: int) -> list[Run]:
        answer = httpx.post(
            f"{self._started.prefect_url}{path}", json=body, trust_env=False, timeout=10
        )
        found: list[Run] = answer.raise_for_status().json()
        assert len(found) <= count, [run["name"] for run in found]
        final = [run for run in found if run["state_type"] in _FINAL]
        return final if len(final) == count else []

    def _until(self, reads: Callable[[], list[Run]], what: str) -> list[Run]:
        deadline = time.monotonic() + SHOWN_SECONDS
        while not (found := reads()):
            assert time.monotonic() < deadline, f"Prefect never showed the {what}"
            time.sleep(0.1)  # a dashboard's polling interval
        return found
