"""Routes of the service itself: what it is, whether it lives, whether it is ready, its words."""

import asyncio
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.shared import Shared, shared_of
from core.errors import StorageUnavailable, Unavailable
from store import leases
from store.clock import timestamp

NAME, VERSION = "Cauce", "0.1.0"
READY_SECONDS = 2.0
"""How long the database may take to tell that it can be written to."""
WORKER_LEASES = 3.0
"""A worker renews its leases three times in one lease: after three leases it is gone."""
router = APIRouter(tags=["system"])


@router.get("/", summary="What this is")
async def root() -> Response:
    """Existing clients take `running` for: it can be used."""
    return json_answer(
        {"service": NAME, "status": "running", "version": VERSION, "timestamp": timestamp()}
    )


@router.get("/health", summary="Whether the process lives")
async def health() -> Response:
    """Asks nobody else."""
    return json_answer({"status": "ok"})


@router.get("/ready", summary="Whether an execution that is started now would begin at once")
async def ready(request: Request) -> Response:
    """503 names what is missing. Prefect is not needed: without it executions are not shown there,
    and `observability` is `degraded`.
    """
    state = await readiness(shared_of(request))
    if state["missing"]:
        missing = " and ".join(state["missing"])
        raise Unavailable(
            f"Not ready: {missing} missing.", code="not_ready", retry_after=1, extra=state
        )
    return json_answer(state)


async def readiness(shared: Shared) -> dict[str, Any]:
    """Return what is there and, as `missing`, what is not."""
    within = round(shared.settings.lease_seconds * WORKER_LEASES * 1000)
    alive: list[dict[str, Any]] = []
    writable = False
    try:
        async with asyncio.timeout(READY_SECONDS):
            alive = await shared.database.read(partial(leases.alive, within_ms=within))
            await shared.database.write(lambda _connection: None)
            writable = True
    except (StorageUnavailable, TimeoutError):
        pass
    working = [worker for worker in alive if (worker["capacity"] or 0) > 0]
    missing = ([] if writable else ["database"]) + ([] if working or not writable else ["worker"])
    shown = {worker["observability"] for worker in working}
    return {
        "ready": not missing,
        "missing": missing,
        "workers": len(working),
        "capacity": sum(worker["capacity"] for worker in working),
        "running": sum(worker["running"] or 0 for worker in working),
        "observability": "full" if "full" in shown else "degraded" if working else None,
    }
