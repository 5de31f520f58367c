"""One readable log of many processes: `12:30:05 worker-1 | line`."""

import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import TextIO

LINE_LIMIT = 1_000_000
"""Bytes of one line that are kept."""

PENDING_LIMIT = 8_000_000
"""Characters that may wait for a slow terminal or file before lines are dropped."""

_COLOURS = (36, 33, 32, 35, 34)
# What a child prints may come from a stranger: it must not drive the terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


class LineCutter:
    """Cuts a stream of bytes into lines of text, and keeps at most `limit` bytes of each."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._lost = 0

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield each line that `data` completes."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            self._keep(part)
            yield self._take()
        self._keep(rest)

    def end(self) -> Iterator[str]:
        """Yield the last line, if the stream did not end with a newline."""
        if self._buffer:
            yield self._take()

    def _keep(self, part: bytes) -> None:
        room = self._limit - len(self._buffer)
        self._buffer += part[:room]
        self._lost += max(0, len(part) - room)

    def _take(self) -> str:
        text = self._buffer.decode("utf-8", "replace").rstrip("\r")
        if self._lost:
            text += f" … ({self._lost} more bytes)"
        self._buffer.clear()
        self._lost = 0
        return text


def colour_wanted(out: TextIO) -> bool:
    """Whether `out` is a terminal that shows colours, and nobody said NO_COLOR."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return out.isatty() and (sys.platform != "win32" or "WT_SESSION" in os.environ)


class ProcessLog:
    """Writes lines to `out` from a thread of its own.

    A terminal that stands still (Ctrl+S) thus holds up neither the children nor their
    supervision: once `PENDING_LIMIT` is reached, lines are dropped and counted.
    """

    def __init__(self, out: TextIO, names: Sequence[str], *, colour: bool = False) -> None:
        self._out = out
        self._width = max((len(name) for name in names), default=0)
        self._codes = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
        self._colour = colour
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._pending = 0
        self._dropped = 0
        self._thread = threading.Thread(target=self._write_all, daemon=True)
        self._thread.start()

    def line(self, name: str, text: str) -> None:
        """Write one line under the name of a process. Never waits; safe from any thread."""
        shown = self._formatted(name, text)
        with self._lock:
            if self._pending + len(shown) > PENDING_LIMIT:
                self._dropped += 1
                return
            self._pending += len(shown)
        self._queue.put(shown)

    def close(self, timeout: float = 2.0) -> None:
        """Write what waits, for `timeout` seconds at most."""
        self._queue.put(None)
        self._thread.join(timeout)

    def _formatted(self, name: str, text: str) -> str:
        label = name.ljust(self._width)
        if self._colour:
            label = f"\x1b[{self._codes.get(name, 1)}m{label}\x1b[0m"
        clean = _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", text)
        return f"{datetime.now(UTC).astimezone():%H:%M:%S} {label} | {clean}\n"

    def _write_all(self) -> None:
        while (shown := self._queue.get()) is not None:
            self._write(shown)
            with self._lock:
                self._pending -= len(shown)
                dropped, self._dropped = self._dropped, 0
            if dropped:
                self._write(self._formatted("log", f"{dropped} lines dropped: output too slow"))

    def _write(self, shown: str) -> None:
        encoding = self._out.encoding or "utf-8"
        try:
            self._out.write(shown.encode(encoding, "replace").decode(encoding))
            self._out.flush()
        except (OSError, ValueError):
            # The reader is gone or the disk is full: the processes matter more than their log.
            return
