"""Prefect's API and UI as one ASGI app, tuned for SQLite and closed to other sites.

Importing this module imports Prefect, which reads its settings then: `flows.prefect_server`
sets the environment first and names this module to uvicorn only afterwards.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from prefect.server.api.collections import KNOWN_VIEWS
from prefect.server.api.server import create_app
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import MODELS_DEPENDENCIES
from prefect.settings import get_current_settings
from starlette.types import ASGIApp

from flows.prefect_guard import OwnOriginOnly


class ImmediateSqlite(AioSqliteConfiguration):
    """Prefect's SQLite configuration with every transaction begun as IMMEDIATE.

    Prefect begins most transactions as DEFERRED and turns them into writes later. SQLite refuses
    that at once when another writer came in between, whatever the busy timeout: 16 runs created
    together then meet 503s and back-offs of seconds, and some runs fail.
    """

    @asynccontextmanager
    async def begin_transaction(
        self, session: Any, with_for_update: bool = False
    ) -> AsyncGenerator[Any, None]:
        """Begin with the write lock in hand, which waits for its turn instead of failing."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction


def build() -> ASGIApp:
    """Return the app. Raises `ValueError` when Prefect was imported without our environment."""
    server = get_current_settings().server
    origins = server.api.cors_allowed_origins
    if server.database.connection_url is None or origins == "*":
        raise ValueError("Prefect was imported without the environment of the embedded server.")
    begin_immediately(server.database.connection_url.get_secret_value())
    _keep_offline()
    return OwnOriginOnly(create_app(final=True), origins.split(","))


def begin_immediately(connection_url: str) -> None:
    """Make Prefect use `ImmediateSqlite`, before anything has opened the database."""
    MODELS_DEPENDENCIES["database_config"] = ImmediateSqlite(connection_url=connection_url)


def _keep_offline() -> None:
    # Prefect fetches these lists from the web and falls back to its own copies on any error.
    KNOWN_VIEWS.update(dict.fromkeys(KNOWN_VIEWS, "offline:"))
