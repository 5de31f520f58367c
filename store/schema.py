"""The tables are made, or completed, when a process starts."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from store.engine import Database

MIGRATIONS = Path(__file__).parent.parent / "migrations"
_LOCK = 0x_CA0CE
"""PostgreSQL advisory lock that lets one process at a time change the schema."""


async def prepare(database: Database) -> None:
    """Bring the tables to the newest schema. Existing tables are only ever added to."""
    await database.write(upgrade)


def upgrade(connection: sa.Connection) -> None:
    """Run the missing migrations within the caller's transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
