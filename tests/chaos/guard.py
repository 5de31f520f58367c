"""Ends what a chaos run started, should the run itself be killed.

A process of its own that reads, one a line, `pid <id>` and `pidfile <path>` from its standard
input. `done` means that there is nothing left to end. An end of the input before that means that
the run is gone: then what it named is asked to end, and killed when it does not.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

STOP_SECONDS = 15.0


class Guard:
    """The run's end of the pipe."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def watch(self, pid: int) -> None:
        """Name a process that was started."""
        self._tell(f"pid {pid}")

    def watch_file(self, file: Path) -> None:
        """Name a file whose first line will be the id of a process that was started."""
        self._tell(f"pidfile {file}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


@contextmanager
def guard() -> Iterator[Guard]:
    """Run a guard for the time of a `with` block, at whose end everything must be gone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.guard"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl+C is for the run
    )
    try:
        yield Guard(process)
    finally:
        process.communicate("done\n")


def _named(line: str) -> psutil.Process | None:
    kind, _, rest = line.partition(" ")
    with suppress(psutil.Error, OSError, ValueError):
        return psutil.Process(int(rest if kind == "pid" else Path(rest).read_text().split()[0]))
    return None


def _main() -> None:
    processes: list[psutil.Process] = []
    files: list[str] = []
    for line in map(str.strip, sys.stdin):
        if line == "done":
            return
        if line.startswith("pidfile "):
            files.append(line)
        elif (process := _named(line)) is not None:
            processes.append(process)  # psutil compares the time of birth before it acts
    processes += [process for line in files if (process := _named(line)) is not None]
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=STOP_SECONDS)[1]:
        with suppress(psutil.Error):
            process.kill()


if __name__ == "__main__":
    _main()
