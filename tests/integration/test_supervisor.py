"""The supervisor with real child processes: tiny programs, real signals."""

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from supervision.child import Backoff, ChildSpec, Timing
from supervision.process_log import ProcessLog
from supervision.run_folder import RunFolder
from supervision.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
QUICK = Timing(backoff_first=0.05, backoff_max=0.2, healthy_after=30, stop_within=5)

SLEEPER = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\n"
STUBBORN += "while True: signal.pause()"
WATCHER = "from supervision.parent import watch_parent; watch_parent(0.5); " + SLEEPER
STUBBORN_WATCHER = (
    "from supervision.parent import watch_parent\n"
    "import signal; signal.signal(15, signal.SIG_IGN); watch_parent(0.3)\n"
    "while True: signal.pause()"
)
SUPERVISING = """
import asyncio, sys
from pathlib import Path
from tests.integration.test_supervisor import WATCHER, STUBBORN_WATCHER, supervising
asyncio.run(supervising(Path(sys.argv[1]), {"watcher": WATCHER, "stubborn": STUBBORN_WATCHER}))
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the children use POSIX signals")


def spec(name: str, program: str, *, stage: int = 0) -> ChildSpec:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "CAUCE_SUPERVISED": "1"}
    return ChildSpec(name, (sys.executable, "-S", "-c", program), env, stop_stage=stage)


async def supervising(folder: Path, programs: dict[str, str]) -> None:
    """Supervise until killed: the whole life of the process that the `kill -9` test starts."""
    log = ProcessLog(sys.stdout, list(programs))
    with RunFolder(folder) as run:
        async with Supervisor([spec(*each) for each in programs.items()], run, log, QUICK):
            await asyncio.Event().wait()


async def until(predicate: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        await asyncio.sleep(0.01)


class Bench:
    """A run folder, a log, and what the log says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.out = io.StringIO()
        self.log = ProcessLog(self.out, [])

    @property
    def lines(self) -> list[str]:
        return [line.partition(" ")[2] for line in self.out.getvalue().splitlines()]

    @property
    def pid_files(self) -> dict[str, int]:
        return {file.stem: int(file.read_text()) for file in self.path.glob("*.pid")}

    @contextlib.asynccontextmanager
    async def supervise(
        self, *specs: ChildSpec, timing: Timing = QUICK
    ) -> AsyncIterator[Supervisor]:
        with RunFolder(self.path) as folder:
            async with Supervisor(specs, folder, self.log, timing) as supervisor:
                yield supervisor

    async def all_up(self, count: int) -> None:
        await until(lambda: sum(" | up" in line for line in self.lines) >= count, "all up")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "data" / "run")
    yield made
    made.log.close()


# P1, P2
async def test_a_killed_child_is_started_again_at_once(bench: Bench) -> None:
    async with bench.supervise(spec("api", SLEEPER)) as supervisor:
        await bench.all_up(1)
        old = supervisor.pids["api"]
        killed = time.monotonic()
        os.kill(old, signal.SIGKILL)
        await until(lambda: supervisor.pids.get("api") not in (None, old), "a new process")
        assert time.monotonic() - killed < 0.3
        await until(lambda: bench.pid_files == supervisor.pids, "the new process id in its file")
    assert "api | was ended by SIGKILL; starting it again now" in bench.lines


async def test_a_child_that_keeps_dying_is_started_ever_more_slowly(bench: Bench) -> None:
    async with bench.supervise(spec("api", "raise SystemExit(3)")):
        await until(lambda: any("in 0.2 s" in line for line in bench.lines), "the longest delay")
    endings = [line for line in bench.lines if line.startswith("api | ended")]
    delays = [line.removeprefix("api | ended with exit code 3; ") for line in endings]
    assert delays[:4] == [
        "starting it again now",
        "starting it again in 0.05 s",
        "starting it again in 0.1 s",
        "starting it again in 0.2 s",
    ]


def test_back_off_starts_over_after_a_healthy_life() -> None:
    backoff = Backoff(Timing())
    assert [backoff.after(1) for _ in range(8)] == [0, 0.5, 1, 2, 4, 5, 5, 5]
    assert [backoff.after(11), backoff.after(1)] == [0, 0.5]
    assert [backoff.after(0) for _ in range(3000)][-1] == 5


async def test_a_program_that_is_not_there_is_told_and_tried_again(bench: Bench) -> None:
    missing = ChildSpec("api", (str(bench.path / "nothing"),), {})
    async with bench.supervise(missing):
        await until(lambda: len(bench.lines) >= 2, "two tries")
    assert "api | cannot be started" in bench.lines[0]


# P20, R003-42
async def test_children_stop_in_the_order_of_their_stages(bench: Bench) -> None:
    program = "import signal, sys; print('up', flush=True); signal.sigwait([15]); print('bye')"
    program = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); " + program
    children = [
        spec("prefect", program, stage=2),
        spec("api", program, stage=1),
        spec("worker-1", program),
        spec("worker-2", program),
    ]
    async with bench.supervise(*children) as supervisor:
        await bench.all_up(4)
        assert bench.pid_files == supervisor.pids
    assert bench.pid_files == {}
    bench.log.close()
    goodbyes = [line.split()[0] for line in bench.lines if line.endswith("| bye")]
    assert sorted(goodbyes[:2]) == ["worker-1", "worker-2"]
    assert goodbyes[2:] == ["api", "prefect"]


# P20
async def test_a_stubborn_child_is_killed_in_time_and_the_others_still_stop(bench: Bench) -> None:
    timing = Timing(stop_within=1.0)
    children = [spec("worker-1", STUBBORN), spec("api", SLEEPER, stage=1)]
    async with bench.supervise(*children, timing=timing) as supervisor:
        await bench.all_up(2)
        pids = supervisor.pids
        asked = time.monotonic()
    assert time.monotonic() - asked < 2.0
    assert not any(psutil.pid_exists(pid) for pid in pids.values())
    bench.log.close()
    assert [line for line in bench.lines if "killed" in line] == [
        "worker-1 | did not stop in time: killed"
    ]


async def test_a_frozen_child_is_killed_too(bench: Bench) -> None:
    async with bench.supervise(spec("a", SLEEPER), timing=Timing(stop_within=0.5)) as supervisor:
        await bench.all_up(1)
        pid = supervisor.pids["a"]
        os.kill(pid, signal.SIGSTOP)
    assert not psutil.pid_exists(pid)


async def test_kill_ends_everything_at_once(bench: Bench) -> None:
    async with bench.supervise(spec("a", STUBBORN), spec("b", STUBBORN)) as supervisor:
        await bench.all_up(2)
        asked = time.monotonic()
        supervisor.kill()
    assert time.monotonic() - asked < 2.0


async def test_what_a_killed_child_had_started_does_not_live_on(bench: Bench) -> None:
    program = (
        "import subprocess, sys, signal\n"
        "print(subprocess.Popen([sys.executable, '-S', '-c', 'import signal; signal.pause()']).pid)"
        "\nsys.stdout.flush(); signal.pause()"
    )
    async with bench.supervise(spec("worker", program)) as supervisor:
        await until(lambda: bench.lines, "the grandchild's process id")
        grandchild = int(bench.lines[0].rpartition(" ")[2])
        os.kill(supervisor.pids["worker"], signal.SIGKILL)
        await until(lambda: not _is_alive(grandchild), "the grandchild to be gone")
        await until(lambda: any("SIGKILL" in line for line in bench.lines), "the restart")


# R003-42
async def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", SUPERVISING, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    try:
        assert b"up" in await asyncio.to_thread(process.stdout.readline)
        await until(lambda: len(list(folder.glob("*.pid"))) == 2, "both process ids")
        pids = [int(file.read_text()) for file in folder.glob("*.pid")]
    finally:
        process.kill()
        process.communicate()
    await until(lambda: not any(map(_is_alive, pids)), "the children to be gone", 5)

    with RunFolder(folder) as taken_over:
        assert taken_over.leftovers == ("stubborn", "watcher")
        assert list(folder.glob("*.pid")) == []


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_output_is_logged_line_by_line_under_its_name(bench: Bench) -> None:
    program = (
        "import sys, os\n"
        "os.write(1, b'one\\ntwo\\r\\n\\xff \\x1b[2J\\n'); os.write(2, b'from stderr\\nlast')"
    )
    async with bench.supervise(spec("api", program)):
        await until(lambda: any("last" in line for line in bench.lines), "the last line")
    assert bench.lines[:5] == [
        "api | one",
        "api | two",
        "api | \N{REPLACEMENT CHARACTER} \\x1b[2J",
        "api | from stderr",
        "api | last",
    ]
