"""Waking the workers that share this machine: a datagram on the loopback address.

Nothing depends on its arrival: a worker looks for work by itself every `POLL_SECONDS`. Each worker
leaves its port in `<data_dir>/run/<name>.wake`; the datagram says only what kind of news there is.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path


class News(StrEnum):
    """Why a worker should look."""

    WORK = "work"
    CANCEL = "cancel"
    PAUSE = "pause"


class Bell:
    """Rings all workers of a data folder. Cheap: one datagram each, nothing awaited."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "run"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def ring(self, news: News) -> None:
        """Tell every worker; one that cannot be reached finds out by itself."""
        for file in self._folder.glob("*.wake"):
            with contextlib.suppress(OSError, ValueError):
                self._socket.sendto(news.encode(), ("127.0.0.1", int(file.read_text())))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, heard: Callable[[News], None]) -> None:
        self._heard = heard

    def datagram_received(self, data: bytes, _sender: object) -> None:
        with contextlib.suppress(ValueError):
            self._heard(News(data.decode("ascii", "replace")))


class Ear:
    """Hears the bell, for one worker."""

    def __init__(self, transport: asyncio.DatagramTransport, file: Path) -> None:
        self._transport = transport
        self._file = file

    @classmethod
    async def open(cls, data_dir: Path, name: str, heard: Callable[[News], None]) -> "Ear":
        """Listen on a free port and leave its number where the bell looks."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Listener(heard), local_addr=("127.0.0.1", 0)
        )
        file = data_dir / "run" / f"{name}.wake"
        await asyncio.to_thread(_leave_port, file, transport.get_extra_info("sockname")[1])
        return cls(transport, file)

    def close(self) -> None:
        """Stop listening."""
        self._transport.close()
        self._file.unlink(missing_ok=True)


def _leave_port(file: Path, port: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(str(port))
    fresh.replace(file)
