"""The tables are made, or completed, when a process starts."""

import asyncio
import time
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from core.errors import StorageUnavailable
from store.engine import Database

MIGRATIONS = Path(__file__).parent.parent / "migrations"
PATIENCE_SECONDS = 5.0
"""How long a starting process waits for its database: being started again takes about as long."""
_BETWEEN_TRIES = 0.2
VERSION_TABLE = "cauce_schema"
_LOCK = 0x_CA0CE
"""PostgreSQL advisory lock that lets one process at a time change the schema."""


async def prepare(database: Database, patience: float = PATIENCE_SECONDS) -> None:
    """Bring the tables to the newest schema. Existing tables are only ever added to.

    Writes nothing when they are there: a process can start while another one holds the write lock.
    Raises `StorageUnavailable` when the database cannot be used for `patience` seconds.
    """
    end = time.monotonic() + patience
    while True:
        try:
            if not await database.read(is_newest):
                await database.write(upgrade)
        except StorageUnavailable:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(_BETWEEN_TRIES)
        else:
            return


def is_newest(connection: sa.Connection) -> bool:
    """Tell whether every migration has run."""
    found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return found.get_current_revision() == ScriptDirectory(str(MIGRATIONS)).get_current_head()


def upgrade(connection: sa.Connection) -> None:
    """Run the missing migrations within the caller's transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
