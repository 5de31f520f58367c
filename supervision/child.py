"""One child process: started, restarted with back-off, read line by line, ended."""

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from supervision.process_log import LineCutter, ProcessLog
from supervision.run_folder import RunFolder

_LAST_WORDS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run. `env` is the whole environment; a lower `stop_stage` is stopped earlier."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path | None = None
    stop_stage: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: the delays between restarts, and the time in which everything has stopped.

    The first restart comes at once; the next after `backoff_first`, then twice that and so on up
    to `backoff_max`. A child that lived for `healthy_after` starts over: it got past
    its start, so it is not what keeps it from starting. Longer waits would break what is promised
    after the death of a process.
    """

    backoff_first: float = 0.5
    backoff_max: float = 5.0
    healthy_after: float = 10.0
    stop_within: float = 9.5


class Backoff:
    """Counts the deaths of a child and says how long to wait after each."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._deaths = 0

    def after(self, uptime: float) -> float:
        """Return the seconds to wait after a death at the age of `uptime` seconds."""
        if uptime >= self._timing.healthy_after:
            self._deaths = 0
        self._deaths += 1
        if self._deaths == 1:
            return 0.0
        delay = math.ldexp(self._timing.backoff_first, min(self._deaths - 2, 30))
        return min(self._timing.backoff_max, delay)


class Child:
    """Keeps one process running until it is told to stop."""

    def __init__(self, spec: ChildSpec, folder: RunFolder, log: ProcessLog, timing: Timing) -> None:
        self.spec = spec
        self._folder = folder
        self._log = log
        self._backoff = Backoff(timing)
        self._stopping = asyncio.Event()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return self._process.pid if self._process else None

    async def run(self) -> None:
        """Start the process, and start it again whenever it ends, until `terminate` or `kill`."""
        while not self._stopping.is_set():
            born = time.monotonic()
            how = await self._live()
            if not self._stopping.is_set():
                delay = self._backoff.after(time.monotonic() - born)
                self._say(f"{how}; starting it again {f'in {delay:g} s' if delay else 'now'}")
                await self._pause(delay)

    def terminate(self) -> None:
        """Ask the process to end, and do not start it again."""
        self._stopping.set()
        if self._process:
            with contextlib.suppress(OSError):
                self._process.send_signal(_GENTLY)

    def kill(self) -> None:
        """End the process and its own children at once, and do not start it again."""
        self._stopping.set()
        if self._process and self._process.returncode is None:
            _kill_group(self._process)

    async def _live(self) -> str:
        try:
            process = _spawn(self.spec)
        except OSError as error:
            return f"cannot be started ({error})"
        self._process = process
        try:
            self._note_pid(process.pid)
            return _ending(await self._end_of(process))
        finally:
            if process.returncode is None:
                _kill_group(process)
            self._process = None
            self._folder.remove_pid(self.spec.name)

    def _note_pid(self, pid: int) -> None:
        try:
            self._folder.write_pid(self.spec.name, pid)
        except OSError as error:
            self._say(f"its process id could not be written ({error.strerror})")

    async def _end_of(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the process itself in a thread.

        asyncio's own `wait` returns, before Python 3.12.4, only when every process that inherited
        the output has closed it: an orphan would hold up the restart.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[int] = loop.create_future()
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)

        def tell(code: int) -> None:
            if not ended.done():
                ended.set_result(code)

        def wait() -> None:
            code = process.wait()
            _kill_group(process)  # what it started must not go on without it
            _close(process.stdin)
            reader.join(_LAST_WORDS_SECONDS)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell, code)

        reader.start()
        threading.Thread(target=wait, daemon=True).start()
        return await ended

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        cutter = LineCutter()
        while data := process.stdout.read(65536) if process.stdout else b"":
            for line in cutter.feed(data):
                self._say(line)
        for line in cutter.end():
            self._say(line)
        _close(process.stdout)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _say(self, text: str) -> None:
        self._log.line(self.spec.name, text)


def _spawn(spec: ChildSpec) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the command is our own
        spec.argv,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=spec.cwd,
        env=dict(spec.env),
        **_OWN_GROUP,
    )


def _close(pipe: IO[bytes] | None) -> None:
    if pipe:
        with contextlib.suppress(OSError):
            pipe.close()


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


# A group of its own keeps the terminal's Ctrl+C from the child: we choose who stops when.
if sys.platform == "win32":
    _OWN_GROUP: dict[str, Any] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    _GENTLY = signal.CTRL_BREAK_EVENT

    def _kill_group(process: subprocess.Popen[bytes]) -> None:
        process.kill()
else:
    _OWN_GROUP: dict[str, Any] = {"start_new_session": True}
    _GENTLY = signal.SIGTERM

    def _kill_group(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
