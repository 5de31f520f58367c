"""The child's side: a supervised process ends when the one that started it is gone."""

import os
import signal
import sys
import threading
import time

SUPERVISED = "CAUCE_SUPERVISED"
"""Environment variable that is `1` in a process whose standard input is the supervisor's pipe."""


def watch_parent(grace: float = 10.0) -> None:
    """End this process when its supervisor dies, also by `kill -9`. Call it once, at the start.

    The supervisor holds the other end of our standard input and never writes to it, so the end
    of the file means that it is gone. This process then gets SIGTERM, and after `grace` seconds
    it exits in any case. Does nothing in a process that is not supervised.
    """
    if os.environ.get(SUPERVISED) == "1":
        threading.Thread(target=_end_with_parent, args=(grace,), daemon=True).start()


def _end_with_parent(grace: float) -> None:
    while _read_standard_input():
        pass
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGBREAK)
    else:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os._exit(1)


def _read_standard_input() -> bytes:
    try:
        return os.read(0, 4096)
    except OSError:
        return b""
