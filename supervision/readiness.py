"""Says where everything is, once it is there."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from supervision.process_log import ProcessLog

_BETWEEN_LOOKS = 0.25
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Links:
    """The address that answers 200 once the service is ready, and the pages to show by title."""

    ready: str
    pages: Mapping[str, str]


async def until_ready(client: httpx.AsyncClient, ready: str) -> None:
    """Return once `ready` answers with 200. Never gives up: bound it from outside."""
    while await status_of(client, ready) != httpx.codes.OK:  # noqa: ASYNC110 - another process
        await asyncio.sleep(_BETWEEN_LOOKS)


async def status_of(client: httpx.AsyncClient, address: str) -> int | None:
    """Return the status that `address` answers with, `None` when it does not answer."""
    try:
        return (await client.get(address)).status_code
    except httpx.HTTPError:
        return None


async def announce_when_ready(links: Links, log: ProcessLog) -> None:
    """Wait until the service is ready and log its pages; say so when that takes long."""
    started = time.monotonic()
    async with local_client() as client:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await until_ready(client, links.ready)
        except TimeoutError:
            log.line("cauce", f"Not ready after {_PATIENCE_SECONDS:g} s: see {links.ready}")
            await until_ready(client, links.ready)
        log.line("cauce", f"Ready after {time.monotonic() - started:.1f} s.")
        width = max(len(title) for title in links.pages)
        for title, address in links.pages.items():
            if await status_of(client, address) != httpx.codes.NOT_FOUND:
                log.line("cauce", f"  {title.ljust(width)}  {address}")


def local_client() -> httpx.AsyncClient:
    """Return a client for our own service: a proxy of the environment is not for it."""
    return httpx.AsyncClient(trust_env=False, timeout=5.0)
