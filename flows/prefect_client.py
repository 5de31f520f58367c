"""What a worker holds open for all its flow runs.

Without it, Prefect builds two TLS contexts for every flow run (16 ms each) and asks the server
where results go in a call that blocks the event loop.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from prefect.context import AsyncClientContext, SyncClientContext

RESULTS = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser() / "results"
"""Named so that no flow has to ask; nothing is written there, since results are not persisted."""


@asynccontextmanager
async def prefect_session() -> AsyncGenerator[None]:
    """Keep one client of each kind for the time of a worker's life."""
    with SyncClientContext.get_or_create():
        async with AsyncClientContext.get_or_create():
            yield
