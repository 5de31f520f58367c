"""A real embedded Prefect server on a free port, for the tests that need one.

Use `prefect_server()` in a module-scoped fixture: a first start creates the database, which
takes several seconds. Fixtures of one module share it; every test module has its own.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from config import Settings
from flows.prefect_settings import client_environment, prefect_api_url

ROOT = Path(__file__).parents[2]
START_SECONDS = 50.0


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """A server that answers. `home` is the HOME directory that it was given, empty at first."""

    settings: Settings
    home: Path
    process: subprocess.Popen[bytes]

    @property
    def api_url(self) -> str:
        """Return the address of its API, without a final slash."""
        return prefect_api_url(self.settings)

    @property
    def data_dir(self) -> Path:
        """Return where it keeps `prefect.db` and `prefect/`."""
        return self.settings.data_dir

    def client_environment(self) -> dict[str, str]:
        """Return the whole environment of a child process that runs flows on this server."""
        return {**_inherited(), "HOME": str(self.home), **client_environment(self.settings)}

    def run_client(self, arguments: Sequence[str], seconds: float = 50.0) -> str:
        """Return what `python <arguments>` prints. Raises `RuntimeError` with its errors."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.client_environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout


@contextmanager
def prefect_server(
    data_dir: Path, extra: Mapping[str, str] | None = None
) -> Iterator[PrefectServer]:
    """Start a server that keeps its data in `data_dir`, yield it when healthy, then stop it."""
    settings = Settings(data_dir=data_dir, prefect_port=free_port(), prefect_api_url=None)
    home = data_dir / "home"
    home.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.prefect_server"],
        cwd=ROOT,
        env={**_inherited(), **_identity(settings, home), **(extra or {})},
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_until_healthy(process, f"{prefect_api_url(settings)}/health")
        yield PrefectServer(settings, home, process)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], seconds: float = 10.0) -> int:
    """End the process, by force after `seconds`, and return its exit code."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def free_port() -> int:
    """Return a TCP port that was free on loopback a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}


def _identity(settings: Settings, home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "DATA_DIR": str(settings.data_dir),
        "PREFECT_PORT": str(settings.prefect_port),
        "PREFECT_SERVER_UI_ENABLED": "false",
    }


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(url):
        if process.poll() is not None:
            raise RuntimeError(f"The Prefect server ended with code {process.returncode}.")
        if time.monotonic() > deadline:
            raise TimeoutError(f"The Prefect server does not answer at {url}.")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).status_code == 200
    except httpx.TransportError:
        return False
