"""An asynchronous server for tests that are not: it runs in a thread with a loop of its own."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T", bound=AbstractAsyncContextManager[Any])
START_SECONDS = 10.0


@contextmanager
def in_thread(server: T) -> Iterator[T]:
    """Enter the server's context in a thread, yield the server, and leave it again."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        ended = asyncio.Event()
        async with server:
            started.set_result((asyncio.get_running_loop(), ended))
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name=type(server).__name__)
    thread.start()
    loop, ended = started.result(START_SECONDS)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
