"""Runs `http` nodes in tests, over a real client with injected ends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpcore
import pytest

from config import Settings, get_settings
from core.errors import Failure, NodeError
from tasks.context import NodeContext
from tasks.http import http
from tasks.http_client import Resolver, guarded_client
from tasks.http_config import HttpConfig
from tasks.outcomes import Completed
from tasks.resources import Resources


@dataclass
class Names:
    """A resolver that knows what it is told, and answers in rounds."""

    known: Mapping[str, Sequence[Sequence[str]]]
    asked: int = 0

    async def resolve(self, host: str, _port: int) -> Sequence[str]:
        if host not in self.known:
            raise OSError(f"no such name: {host}")
        rounds = self.known[host]
        self.asked += 1
        return rounds[(self.asked - 1) % len(rounds)]


@dataclass
class Wire(httpcore.AsyncNetworkBackend):
    """Records the addresses that are asked for, and leads each of them to 127.0.0.1 if told to."""

    leads_to: int | None = None
    asked: list[str] = field(default_factory=list)

    async def connect_tcp(
        self, host: str, port: int, *_options: Any, **_more: Any
    ) -> httpcore.AsyncNetworkStream:
        self.asked.append(host)
        if self.leads_to is None:
            raise httpcore.ConnectError("refused")
        return await httpcore.AnyIOBackend().connect_tcp("127.0.0.1", self.leads_to)


@dataclass(frozen=True)
class Runner:
    """Runs nodes with one set of settings and resources."""

    settings: Settings
    resources: Resources

    def closed(self) -> "Runner":
        """Return a runner whose settings open no host."""
        return replace(self, settings=Settings(http_allowed_hosts=""))

    async def outcome(
        self, config: Mapping[str, Any], data: Any = None, node_id: str = "node-1"
    ) -> Completed | Failure:
        context = NodeContext(self.settings, self.resources, "execution-1", node_id=node_id)
        try:
            return await http(HttpConfig.model_validate(dict(config)), data, context)
        except NodeError as error:
            return error.failure

    async def completed(self, url: str, data: Any = None, **config: Any) -> Completed:
        outcome = await self.outcome({"httpUrl": url, **config}, data)
        assert isinstance(outcome, Completed), outcome
        return outcome

    async def failed(self, url: str, data: Any = None, **config: Any) -> Failure:
        outcome = await self.outcome({"httpUrl": url, **config}, data)
        assert isinstance(outcome, Failure), outcome
        return outcome


@contextmanager
def allowing(hosts: str) -> Iterator[None]:
    """Set HTTP_ALLOWED_HOSTS for configurations that are checked meanwhile."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HTTP_ALLOWED_HOSTS", hosts)
        # No authority is needed here, and reading all of them takes tens of milliseconds.
        environment.delenv("SSL_CERT_FILE", raising=False)
        environment.setenv("SSL_CERT_DIR", str(Path(__file__).parent))
        get_settings.cache_clear()
        try:
            yield
        finally:
            get_settings.cache_clear()


@asynccontextmanager
async def http_runner(
    *,
    allowed: str = "127.0.0.1",
    resolver: Resolver | None = None,
    wire: httpcore.AsyncNetworkBackend | None = None,
    **settings: Any,
) -> AsyncIterator[Runner]:
    """Yield a runner; on leaving, no task that a node started may be left."""
    before = asyncio.all_tasks()
    with allowing(allowed):
        chosen = Settings(http_allowed_hosts=allowed, **settings)
        async with Resources(chosen) as resources:
            vars(resources)["http"] = guarded_client(chosen, resolver or Names({}), wire)
            yield Runner(chosen, resources)
    left = asyncio.all_tasks() - before
    await until(lambda: all(task.done() for task in left), "no task is left")


async def until(holds: Callable[[], bool], what: str, seconds: float = 5.0) -> None:
    """Wait until a predicate holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not holds():
        assert loop.time() < deadline, f"waited in vain: {what}"
        await asyncio.sleep(0.005)
