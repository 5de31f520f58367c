"""The folder of process ids, and the lock that lets only one supervisor use it."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Self

from core.errors import ConfigError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_LOCK = "supervisor.lock"
# Windows denies reading a locked byte, so the lock lies far behind the process id in the file.
_LOCKED_BYTE = 1 << 20


class RunFolder:
    """`<name>.pid` of each child, and `supervisor.lock` with the supervisor's own process id.

    The lock belongs to the operating system, so it ends with its process however that dies: what
    a killed supervisor leaves behind is taken over. `leftovers` are the children whose process
    ids were found then. Use it as a context manager; entering raises `ConfigError` when another
    supervisor holds the lock, or the folder cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.leftovers: tuple[str, ...] = ()
        self._lock = -1

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ConfigError(
                f'DATA_DIR: "{self.path.parent}" cannot be written to ({error.strerror}). '
                "Example: DATA_DIR=data"
            ) from None
        self._take_lock()
        self.leftovers = tuple(sorted(file.stem for file in self.path.glob("*.pid")))
        for name in self.leftovers:
            self.remove_pid(name)
        return self

    def __exit__(self, *_: object) -> None:
        os.truncate(self._lock, 0)
        os.close(self._lock)

    def write_pid(self, name: str, pid: int) -> None:
        """Write a child's process id, whole or not at all. Raises `OSError`."""
        draft = self.path / f".{name}.tmp"
        draft.write_text(f"{pid}\n", encoding="ascii")
        draft.replace(self.path / f"{name}.pid")

    def remove_pid(self, name: str) -> None:
        """Remove a child's process id: the child is gone."""
        with contextlib.suppress(OSError):
            (self.path / f"{name}.pid").unlink(missing_ok=True)

    def _take_lock(self) -> None:
        try:
            _lock_file(self._lock)
        except OSError:
            holder = os.read(self._lock, 20)
            os.close(self._lock)
            raise ConfigError(
                f'DATA_DIR: "{self.path.parent}" is in use by a Cauce that is already running'
                f"{_process(holder)}. Stop that one first, or choose another folder. "
                "Example: DATA_DIR=data2"
            ) from None
        os.truncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode("ascii"))


def _process(holder: bytes) -> str:
    text = holder.decode("ascii", "replace").strip()
    return f" (process {text})" if text.isdigit() else ""


def _lock_file(descriptor: int) -> None:
    if sys.platform == "win32":
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
