"""Workflows and their immutable versions.

The tables may belong to another application that rewrites `workflows.data` at will. So the version
that an execution pins is looked up, and made, by the content at hand.
"""

import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.errors import Conflict, NotFound
from database import workflow_versions as versions
from database import workflows
from store.clock import timestamp

_W = workflows.c
_V = versions.c
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewWorkflow:
    """A workflow to be stored. `data` is the document's JSON text, kept as it came."""

    name: str
    data: str
    organization_id: str | None = None
    id: str | None = None


_ONE = sa.select(workflows).where(_W.id == sa.bindparam("id"))
_NEWEST_VERSION = (
    sa.select(_V.version, _V.data)
    .where(_V.workflowId == sa.bindparam("id"), _V.version.is_not(None))
    .order_by(_V.version.desc())
    .limit(1)
)
_VERSION = (
    sa.select(_V.data)
    .where(_V.workflowId == sa.bindparam("id"), _V.version == sa.bindparam("version"))
    .limit(1)
)


def create(connection: sa.Connection, new: NewWorkflow) -> Row:
    """Store a workflow and its first version; return its row. Raises `Conflict`: id taken."""
    at = timestamp()
    workflow_id = new.id or secrets.token_hex(8)
    row = {
        "id": workflow_id,
        "organizationId": new.organization_id,
        "name": new.name,
        "data": new.data,
        "createdAt": at,
        "updatedAt": at,
        "activeVersionNumber": 1,
    }
    try:
        connection.execute(workflows.insert().values(row))
    except IntegrityError as error:
        raise Conflict(f'There is already a workflow with the id "{workflow_id[:64]}".') from error
    number = _add_version(connection, row, new.data)
    return {**row, "activeVersionNumber": number}


def find(connection: sa.Connection, workflow_id: str) -> Row:
    """Return a workflow's row. Raises `NotFound`."""
    row = connection.execute(_ONE, {"id": workflow_id}).one_or_none()
    if row is None:
        raise NotFound(f"Workflow {workflow_id[:64]} not found")
    return row._asdict()


def newest(
    connection: sa.Connection,
    limit: int,
    organization_id: str | None = None,
    after: tuple[str, str] | None = None,
) -> list[Row]:
    """Return workflows, newest first; `after` is `createdAt` and id of the last one seen."""
    shown = [column for column in workflows.columns if column.name != "data"]
    created = sa.func.coalesce(_W.createdAt, "")
    chosen = sa.select(*shown).order_by(created.desc(), _W.id.desc()).limit(limit)
    if organization_id is not None:
        chosen = chosen.where(_W.organizationId == organization_id)
    if after is not None:
        chosen = chosen.where(sa.tuple_(created, _W.id) < sa.tuple_(*map(sa.literal, after)))
    return [row._asdict() for row in connection.execute(chosen)]


def update(connection: sa.Connection, workflow_id: str, name: str | None, data: str) -> Row:
    """Give a workflow a new document (and name): a new version, unless the content is the same."""
    row = find(connection, workflow_id)
    row |= {"name": name or row["name"], "data": data, "updatedAt": timestamp()}
    row["activeVersionNumber"] = pin(connection, row)
    changed = {key: row[key] for key in ("name", "data", "updatedAt", "activeVersionNumber")}
    connection.execute(workflows.update().where(_W.id == workflow_id).values(changed))
    return row


def delete(connection: sa.Connection, workflow_id: str) -> None:
    """Delete a workflow. Its versions stay: executions that run go on with theirs."""
    find(connection, workflow_id)
    connection.execute(workflows.delete().where(_W.id == workflow_id))


def pin(connection: sa.Connection, row: Row) -> int:
    """Return the number of the version that holds a workflow's present document.

    Makes one when the newest version says something else: another application may have changed the
    document without telling.
    """
    newest_version = connection.execute(_NEWEST_VERSION, {"id": row["id"]}).one_or_none()
    if newest_version is not None and newest_version.data == row["data"]:
        return int(newest_version.version)
    return _add_version(connection, row, row["data"])


def version_data(connection: sa.Connection, workflow_id: str, version: int) -> str:
    """Return the document of a version as JSON text. Raises `NotFound`."""
    found = {"id": workflow_id, "version": version}
    data = connection.execute(_VERSION, found).scalar_one_or_none()
    if data is None:
        raise NotFound(f"Workflow {workflow_id[:64]} has no version {version}")
    return str(data)


def _add_version(connection: sa.Connection, row: Row, data: str) -> int:
    highest = sa.select(sa.func.max(_V.version)).where(_V.workflowId == row["id"])
    number = int(connection.execute(highest).scalar_one() or 0) + 1
    connection.execute(
        versions.insert().values(
            id=secrets.token_hex(8),
            workflowId=row["id"],
            organizationId=row["organizationId"],
            version=number,
            name=row["name"],
            data=data,
            createdAt=timestamp(),
            isProduction=0,
        )
    )
    return number
