"""Whether we may listen on a port, in a sentence if not."""

import asyncio
import errno
import socket
import sys
import time

from core.errors import ConfigError

_BETWEEN_TRIES = 0.2


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def await_port(host: str, port: int, variable: str, *, patience: float = 0.0) -> None:
    """Return once `host:port` can be listened on; `variable` is the setting of the port.

    Raises `ConfigError` when it cannot, or is still in use after `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while error := _error_of_listening(host, port):
        if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
            raise ConfigError(_sentence(error, host, port, variable))
        await asyncio.sleep(_BETWEEN_TRIES)


def _error_of_listening(host: str, port: int) -> OSError | None:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, _exclusive_option(), 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _exclusive_option() -> int:
    if sys.platform == "win32":  # REUSEADDR would share the port there
        return socket.SO_EXCLUSIVEADDRUSE
    else:  # noqa: RET505 - the type checker needs the branch
        return socket.SO_REUSEADDR


def _sentence(error: OSError, host: str, port: int, variable: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{variable}: port {port} is already in use. Stop the program that uses it, or "
            f"choose another port. Example: {variable}={_neighbour(port)}"
        )
    if error.errno == errno.EACCES:
        return (
            f"{variable}: this user may not listen on port {port}. "
            f"Example: {variable}={_neighbour(max(port, 8000))}"
        )
    return (
        f'API_HOST: "{host}" is not an address of this machine ({error.strerror}). '
        "Example: API_HOST=127.0.0.1"
    )


def _neighbour(port: int) -> int:
    return port + 1 if port < 65535 else port - 1
