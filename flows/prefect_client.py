"""What a worker holds open for all its flow runs, and how it speaks to Prefect.

Without the open clients, Prefect builds two TLS contexts for every flow run (16 ms each) and asks
the server where results go in a call that blocks the event loop.
"""

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import FlowRunCreate
from prefect.client.schemas.objects import FlowRun
from prefect.context import AsyncClientContext, SyncClientContext
from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import get_current_settings
from prefect.states import Pending, to_state_create

RESULTS = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser() / "results"
"""Named so that no flow has to ask; nothing is written there, since results are not persisted."""

FLOW_RUN_NAME: ContextVar[str] = ContextVar("flow_run_name")
"""Set by the launcher just before it calls the flow."""


class RunClient(PrefectClient):
    """Creates a flow run under its name in one call.

    Prefect's own client looks the flow up each time and names the run afterwards: two calls more
    for each execution.
    """

    _flow_id: UUID | None = None

    async def create_flow_run(self, flow: Any, *_args: Any, **options: Any) -> FlowRun:
        """Create the flow run that is about to begin, in the state `Pending`."""
        try:
            if self._flow_id is None:
                self._flow_id = await self.create_flow(flow)
            wanted = FlowRunCreate(
                flow_id=self._flow_id,
                flow_version=flow.version,
                name=FLOW_RUN_NAME.get(),
                parameters=options.get("parameters") or {},
                state=to_state_create(Pending()),
            )
            document = wanted.model_dump(mode="json", exclude_unset=True)
            answer = await self.request("POST", "/flow_runs/", json=document)
        except Exception:
            self._flow_id = None  # the server's database may be a new one
            raise
        return FlowRun.model_validate(answer.json())


@asynccontextmanager
async def prefect_session() -> AsyncGenerator[None]:
    """Keep one client of each kind for the time of a worker's life."""
    # By default an exit waits 7 s for each event while the server is down; two tries wait not.
    EventsWorker.set_client_override(PrefectEventsClient, reconnection_attempts=2)
    logging.getLogger("prefect.events.clients").setLevel(logging.ERROR)
    with SyncClientContext.get_or_create():
        held = AsyncClientContext()
        held.client = RunClient(get_current_settings().api.url or "")
        async with held:
            yield
