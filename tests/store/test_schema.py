"""The tables: made from nothing, or completed where an application has its own already."""

import asyncio
from typing import Any

import sqlalchemy as sa

from config import Settings
from database import metadata
from store import schema
from store.engine import Database

OLD_TABLES = """
CREATE TABLE workflows (
    id TEXT PRIMARY KEY, "organizationId" TEXT, name TEXT NOT NULL, data TEXT NOT NULL,
    tags TEXT, "createdAt" TEXT, "updatedAt" TEXT);
CREATE TABLE workflow_executions (
    id TEXT PRIMARY KEY, "workflowId" TEXT NOT NULL, "organizationId" TEXT,
    status TEXT DEFAULT 'pending', "triggerType" TEXT DEFAULT 'manual', inputs TEXT,
    "currentNodeId" TEXT, "nodeResults" TEXT, "finalOutput" TEXT, error TEXT,
    "createdAt" TEXT, "startedAt" TEXT, "completedAt" TEXT);
CREATE TABLE execution_logs (
    id TEXT PRIMARY KEY, "executionId" TEXT NOT NULL, "nodeId" TEXT, "nodeType" TEXT,
    "nodeLabel" TEXT, status TEXT, "inputData" TEXT, "outputData" TEXT, error TEXT,
    duration INTEGER, timestamp TEXT);
INSERT INTO workflows VALUES ('w', 'o', 'Old', '{}', NULL, NULL, NULL);
INSERT INTO workflow_executions (id, "workflowId", status) VALUES ('e', 'w', 'odd word');
"""


def shape(connection: sa.Connection) -> dict[str, tuple[list[Any], ...]]:
    """Return columns, keys and indexes of every table."""
    inspector = sa.inspect(connection)
    return {
        name: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)],
            inspector.get_pk_constraint(name)["constrained_columns"],
            sorted(
                (i["name"] or "", tuple(i["column_names"])) for i in inspector.get_indexes(name)
            ),
            sorted(c["name"] or "" for c in inspector.get_check_constraints(name)),
        )
        for name in inspector.get_table_names()
        if name != "cauce_schema"
    }


def make_old_tables(connection: sa.Connection) -> None:
    for statement in filter(str.strip, OLD_TABLES.split(";")):
        connection.exec_driver_sql(statement)


async def test_migrations_make_the_same_tables_as_the_code(settings: Settings) -> None:
    migrated = Database.open(settings)
    await schema.prepare(migrated)
    from_migrations = await migrated.read(shape)

    def rebuild(connection: sa.Connection) -> dict[str, tuple[list[Any], ...]]:
        metadata.drop_all(connection)
        metadata.create_all(connection)
        return shape(connection)

    assert await migrated.write(rebuild) == from_migrations
    await migrated.close()


async def test_preparing_twice_changes_nothing(settings: Settings) -> None:
    databases = [Database.open(settings) for _ in range(3)]
    await asyncio.gather(*(schema.prepare(database) for database in databases))
    before = await databases[0].read(shape)
    await schema.prepare(databases[1])
    assert await databases[2].read(shape) == before
    for database in databases:
        await database.close()


async def test_tables_of_an_application_are_kept_and_completed(settings: Settings) -> None:
    # R003-32, C20
    database = Database.open(settings)
    await database.write(make_old_tables)
    await schema.prepare(database)
    new = await database.read(shape)
    rows = await database.read(
        lambda c: c.exec_driver_sql("SELECT id, status, epoch FROM workflow_executions").all()
    )
    assert [tuple(row) for row in rows] == [("e", "odd word", None)]
    names = [name for name, *_ in new["workflow_executions"][0]]
    assert names[:13] == [
        "id",
        "workflowId",
        "organizationId",
        "status",
        "triggerType",
        "inputs",
        "currentNodeId",
        "nodeResults",
        "finalOutput",
        "error",
        "createdAt",
        "startedAt",
        "completedAt",
    ]
    assert {"epoch", "seq", "claimAt", "triggeredByName", "versionNumber"} < set(names)
    await database.close()
