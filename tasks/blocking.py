"""Child processes for code that would block the event loop. A call can be killed at any time."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from pebble import ProcessExpired, ProcessPool

from core.errors import Failure, NodeError


class BlockingPool:
    """At most `processes` children, started by the first call and kept for the next ones.

    Until then it costs nothing. Children are started afresh (`spawn`): they share no memory with
    this process, and end by themselves when it dies.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPool | None = None
        self._starting = asyncio.Lock()

    async def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        timeout: float | None = None,  # noqa: ASYNC109 (the child is killed, not just left)
    ) -> Any:
        """Call a function of a module in a child and return its result.

        `function`, `args` and the result travel by pickle. `timeout` is in seconds, counted from
        the start of the call in its child. Cancelling the caller, or the timeout, kills the child.
        Raises `TimeoutError`; `NodeError` with the code `blocking_crashed` when the child dies,
        and with that of the failure when the function raises.
        """
        pool = await self._started()
        future = pool.schedule(_outcome, args=(function, args), timeout=timeout)
        try:
            result = await asyncio.wrap_future(future)
        except ProcessExpired as error:
            raise _crashed(f"ended with code {error.exitcode}") from None
        except BrokenProcessPool:
            raise _crashed("could not be kept running") from None
        except asyncio.CancelledError:
            _forget(future)
            raise
        if isinstance(result, _Raised):
            raise result.as_error()
        return result

    async def _started(self) -> ProcessPool:
        async with self._starting:
            if self._pool is None or not self._pool.active:
                await asyncio.to_thread(self.stop)
                context = multiprocessing.get_context("spawn")
                pool = ProcessPool(self._processes, initializer=_prepare, context=context)
                # Asking starts the children, which takes a while: not in the loop's thread.
                await asyncio.to_thread(lambda: pool.active)
                self._pool = pool
            return self._pool

    def stop(self) -> None:
        """Kill all children. Blocks for some tenths of a second."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()


def _forget(future: Future[Any]) -> None:
    """Cancel a call; the pool kills the child that runs it."""
    future.cancel()


def _crashed(what: str) -> NodeError:
    message = f"The process that ran this node {what}."
    return NodeError(message, code="blocking_crashed", retryable=True)


class _Raised:
    """An exception as plain data: not every exception survives pickling."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure

    def as_error(self) -> NodeError:
        failure = self.failure
        return NodeError(
            failure.message,
            code=failure.code,
            retryable=failure.retryable,
            retry_after=failure.retry_after,
            details=failure.details,
        )


def _outcome(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    try:
        return function(*args)
    except NodeError as error:
        return _Raised(error.failure)
    except BaseException as error:  # also SystemExit, which would end the parent
        return _Raised(Failure("node_error", f"{type(error).__name__}: {error}"))


def _prepare() -> None:
    """Make a child die at once when told to, and with its parent."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.join,), daemon=True).start()


def _end_with(wait: Callable[[], None]) -> None:
    wait()
    os._exit(1)
