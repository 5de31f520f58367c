"""What all requests of this process share, made when it starts and closed when it ends."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request

from api.admission import Queue
from api.plans import Plans
from config import Settings
from core.catalogue import Catalogue
from core.graph import Limits
from store import schema
from store.engine import Database
from store.wakeup import Bell
from tasks.registry import NodeType, Registry
from tasks.resources import Resources


@dataclass(frozen=True, slots=True)
class Shared:
    """The database and what is around it."""

    settings: Settings
    database: Database
    node_types: Mapping[str, NodeType]
    catalogue: Catalogue
    plans: Plans
    resources: Resources
    bell: Bell
    queue: Queue


def shared_of(request: Request) -> Shared:
    """Return what is shared, from a request's application."""
    found: Shared = request.app.state.shared
    return found


@asynccontextmanager
async def opened(settings: Settings, registry: Registry) -> AsyncGenerator[Shared]:
    """Open everything, and close it in reverse. Raises `StorageUnavailable`."""
    database = Database.open(settings)
    try:
        await schema.prepare(database)
        catalogue = registry.catalogue()
        limits = Limits(max_nodes=settings.max_nodes, max_edges=settings.max_edges)
        plans = Plans(catalogue, limits, lenient=settings.lenient_node_types)
        bell = Bell(settings.data_dir)
        try:
            async with Resources(settings) as resources:
                types = registry.types()
                queue = Queue(database, settings.max_queued)
                yield Shared(settings, database, types, catalogue, plans, resources, bell, queue)
        finally:
            bell.close()
    finally:
        await database.close()
