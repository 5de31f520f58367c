"""A PostgreSQL server of the tests' own: a fresh cluster in a temporary folder on a free port."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PostgresServer:
    """A running server."""

    port: int
    data: Path
    binaries: Path

    def url(self, database: str = "postgres") -> str:
        """Return the address of one of its databases."""
        return f"postgresql://cauce@127.0.0.1:{self.port}/{database}"

    def restart(self) -> None:
        """Stop the server at once, as a crash of its machine would, and start it again."""
        run_as_owner(
            [
                str(self.binaries / "pg_ctl"),
                "restart",
                "-D",
                str(self.data),
                "-m",
                "immediate",
                "-w",
                "-l",
                str(self.data / "log"),
            ]
        )


def find_binaries() -> Path | None:
    """Return the folder that holds `initdb`, or `None` where PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


def run_as_owner(command: list[str]) -> None:
    """Run a command as a user that is not root: PostgreSQL refuses root."""
    user = "postgres" if hasattr(os, "geteuid") and os.geteuid() == 0 else None
    subprocess.run(
        command,
        check=True,
        user=user,
        group=user,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=60,
        cwd="/",
    )


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres_server(binaries: Path) -> Iterator[PostgresServer]:
    """Start a server for the time of a `with` block."""
    folder = Path(tempfile.mkdtemp(prefix="cauce-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    data, port = folder / "data", free_port()
    run_as_owner(
        [
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "cauce",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--no-instructions",
        ]
    )
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' "
        "-c shared_buffers=16MB -c max_connections=60"
    )
    control = [str(binaries / "pg_ctl"), "-D", str(data), "-w"]
    run_as_owner([*control, "-l", str(data / "log"), "-o", options, "start"])
    try:
        yield PostgresServer(port, data, binaries)
    finally:
        run_as_owner([*control, "-m", "immediate", "stop"])
        shutil.rmtree(folder, ignore_errors=True)
