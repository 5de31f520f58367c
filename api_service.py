"""The HTTP API as an application: `uvicorn api_service:app`. It never imports Prefect."""

import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api import controls, docs_page, executions, nodes, system, workflows
from api.gate import Gate
from api.problems import DOCUMENTED, on_error
from api.shared import opened
from config import Settings, load_settings
from core.errors import CauceError, ConfigError
from supervision.parent import watch_parent
from tasks.load import load_node_types
from tasks.registry import Registry

DESCRIPTION = "Runs workflow graphs in the background, and never loses one."
log = logging.getLogger("cauce.api")


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; settings that are not given are read from the environment.

    Ends the process with a sentence when a setting or a node type is wrong.
    """
    try:
        return _application(settings or load_settings(), load_node_types())
    except ConfigError as error:
        log.critical("%s", error)
        sys.exit(1)


def _application(settings: Settings, registry: Registry) -> FastAPI:
    app = FastAPI(
        title=system.NAME,
        version=system.VERSION,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=DOCUMENTED,
        lifespan=partial(_lifespan, settings=settings, registry=registry),
    )
    app.state.node_types = nodes.catalogue_bytes(registry.types())
    for kind in (CauceError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, on_error)
    app.add_middleware(Gate, settings=settings)
    for part in (workflows, executions, controls, nodes, system, docs_page):
        app.include_router(part.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings, registry: Registry) -> AsyncGenerator[None]:
    watch_parent()
    async with opened(settings, registry) as shared:
        app.state.shared = shared
        yield


app = create_app()
