"""All children together: started at once, stopped in order and in bounded time."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Self

from supervision.child import Child, ChildSpec, Timing
from supervision.process_log import ProcessLog
from supervision.run_folder import RunFolder

# Of the whole time, what each later stage is sure to have left.
_RESERVE = 0.15
# A killed process is gone at once, unless the kernel itself is stuck with it.
_AFTER_KILL_SECONDS = 2.0

_STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Supervisor:
    """Runs children while its context is open. Leaving the context stops them all."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        folder: RunFolder,
        log: ProcessLog,
        timing: Timing | None = None,
    ) -> None:
        self._timing = timing or Timing()
        self._children = [Child(spec, folder, log, self._timing) for spec in specs]
        self._log = log
        self._tasks: dict[Child, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        self._tasks = {child: asyncio.create_task(child.run()) for child in self._children}
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the children that run now, by name."""
        return {child.spec.name: child.pid for child in self._children if child.pid}

    async def stop(self) -> None:
        """Stop the children, stage by stage, and kill those that take too long."""
        deadline = time.monotonic() + self._timing.stop_within
        stages = _stages(self._children)
        for done, stage in enumerate(stages, start=1):
            reserve = (len(stages) - done) * _RESERVE * self._timing.stop_within
            await self._stop_stage(stage, deadline - reserve)

    def kill(self) -> None:
        """End every child at once."""
        for child in self._children:
            child.kill()

    async def _stop_stage(self, stage: Sequence[Child], deadline: float) -> None:
        for child in stage:
            child.terminate()
        late = await self._still_running(stage, deadline - time.monotonic())
        for child in late:
            self._log.line(child.spec.name, "did not stop in time: killed")
            child.kill()
        await self._still_running(late, _AFTER_KILL_SECONDS)

    async def _still_running(self, stage: Sequence[Child], seconds: float) -> list[Child]:
        tasks = [self._tasks[child] for child in stage if child in self._tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, seconds))
        return [child for child in stage if child in self._tasks and not self._tasks[child].done()]


def _stages(children: Sequence[Child]) -> list[list[Child]]:
    def stage(child: Child) -> int:
        return child.spec.stop_stage

    return [list(group) for _, group in groupby(sorted(children, key=stage), key=stage)]


@contextlib.contextmanager
def on_stop_signal(react: Callable[[], None]) -> Iterator[None]:
    """Call `react` in the running event loop on Ctrl+C, SIGTERM or a closed terminal."""
    loop = asyncio.get_running_loop()
    signals = [signal.Signals[name] for name in _STOP_SIGNALS if _wanted(name)]
    before = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(react))
        for number in signals
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wanted(name: str) -> bool:
    # `nohup` has SIGHUP ignored: that is how its user says to outlive the terminal.
    number = getattr(signal, name, None)
    ignored = name == "SIGHUP" and number and signal.getsignal(number) is signal.SIG_IGN
    return number is not None and not ignored
