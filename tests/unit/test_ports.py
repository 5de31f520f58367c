"""A port that cannot be had is told in a sentence."""

import asyncio
import socket

import pytest

from core.errors import ConfigError
from supervision.ports import await_port, free_port


async def test_a_port_in_use_is_told_with_its_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError) as refused:
            await await_port("127.0.0.1", port, "API_PORT")
    assert str(refused.value).startswith(f"API_PORT: port {port} is already in use. ")
    await await_port("127.0.0.1", port, "API_PORT")


async def test_a_port_that_becomes_free_in_time_is_taken() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    asyncio.get_running_loop().call_later(0.1, server.close)
    await await_port("127.0.0.1", port, "PREFECT_PORT", patience=10)


async def test_a_host_of_another_machine_is_told() -> None:
    with pytest.raises(ConfigError, match="is not an address of this machine"):
        await await_port("192.0.2.1", free_port(), "API_PORT")
