"""What the nodes of one process share: connections and child processes, made when first used."""

import asyncio
from functools import cached_property
from types import TracebackType
from typing import Self

import httpx

from config import Settings
from tasks.blocking import BlockingPool
from tasks.http_client import guarded_client
from tasks.llm_transport import operators_client


class Resources:
    """Shared by all nodes that run in one event loop; closed with it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def http(self) -> httpx.AsyncClient:
        """A client that refuses every address that is not public, unless a setting opens it."""
        return guarded_client(self._settings)

    @cached_property
    def llm_http(self) -> httpx.AsyncClient:
        """A client for the operator's own model server, which may be anywhere."""
        return operators_client(self._settings.openai_base_url)

    @cached_property
    def blocking(self) -> BlockingPool:
        """Child processes for code that would block the loop; a call can be killed."""
        return BlockingPool(self._settings.blocking_processes)

    async def aclose(self) -> None:
        """Close what was made."""
        made = vars(self)
        if "http" in made:
            await self.http.aclose()
        if "llm_http" in made:
            await self.llm_http.aclose()
        if "blocking" in made:
            await asyncio.to_thread(self.blocking.stop)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
