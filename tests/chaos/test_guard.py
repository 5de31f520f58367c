"""A chaos run that is killed itself leaves nothing behind."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.until import until

pytestmark = pytest.mark.chaos
ROOT = Path(__file__).parents[2]
# A run that starts two processes, names them, and dies; or ends well.
RUN = """
import os, pathlib, signal, subprocess, sys
from tests.chaos.guard import guard
sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
started = [subprocess.Popen(sleeper, stdout=subprocess.DEVNULL) for _ in "ab"]
file = pathlib.Path(sys.argv[2])
with guard() as guarding:
    guarding.watch(started[0].pid)
    guarding.watch_file(file)
    file.write_text(f"{started[1].pid}\\nmore")
    print(*(process.pid for process in started), flush=True)
    if sys.argv[1] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def left_by(run: list[str]) -> list[psutil.Process]:
    """Run to the end; return the processes that it had started."""
    ran = subprocess.run(run, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    return [psutil.Process(int(pid)) for pid in ran.stdout.split()]


@pytest.mark.parametrize("end", ["dies", "ends"])
async def test_the_guard_ends_what_a_killed_run_had_started(tmp_path: Path, end: str) -> None:
    left = left_by([sys.executable, "-c", RUN, end, str(tmp_path / "pid")])
    try:
        assert len(left) == 2

        async def gone() -> bool:
            return not any(
                process.is_running() and process.status() != psutil.STATUS_ZOMBIE
                for process in left
            )

        if end == "dies":
            await until(gone, "the end of both")
        else:
            assert not await gone()
    finally:
        for process in left:
            if process.is_running():
                process.kill()
