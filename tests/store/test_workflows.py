"""Workflows and the versions that executions pin."""

from functools import partial

import pytest

from core.errors import Conflict, NotFound
from database import workflows as table
from store import workflows
from store.engine import Database
from store.workflows import NewWorkflow
from tests.store.executions import workflow


async def test_a_new_workflow_has_version_one(database: Database) -> None:
    workflow_id = await workflow(database, '{"nodes":[]}', name="Triage", organization_id="o")
    row = await database.read(partial(workflows.find, workflow_id=workflow_id))
    assert (row["name"], row["data"], row["activeVersionNumber"]) == ("Triage", '{"nodes":[]}', 1)
    data = partial(workflows.version_data, workflow_id=workflow_id, version=1)
    assert await database.read(data) == '{"nodes":[]}'


async def test_an_id_can_be_chosen_once(database: Database) -> None:
    new = NewWorkflow("A", "{}", id="mine")
    await database.write(partial(workflows.create, new=new))
    with pytest.raises(Conflict):
        await database.write(partial(workflows.create, new=new))


async def test_an_update_makes_a_version_unless_nothing_changed(database: Database) -> None:
    workflow_id = await workflow(database, "1")
    update = partial(workflows.update, workflow_id=workflow_id, name=None)
    same = await database.write(partial(update, data="1"))
    other = await database.write(partial(update, data="2"))
    assert (same["activeVersionNumber"], other["activeVersionNumber"]) == (1, 2)
    old = partial(workflows.version_data, workflow_id=workflow_id, version=1)
    assert await database.read(old) == "1"


async def test_what_another_application_wrote_is_pinned_as_a_version(database: Database) -> None:
    # R003-32: the document may change behind our back
    foreign = {"id": "w", "name": "Theirs", "data": "1"}
    await database.write(lambda c: c.execute(table.insert().values(foreign)) and None)
    row = await database.read(partial(workflows.find, workflow_id="w"))
    assert await database.write(partial(workflows.pin, row=row)) == 1
    await database.write(lambda c: c.execute(table.update().values(data="2")) and None)
    row = await database.read(partial(workflows.find, workflow_id="w"))
    assert await database.write(partial(workflows.pin, row=row)) == 2
    assert await database.write(partial(workflows.pin, row=row)) == 2


async def test_versions_outlive_their_workflow(database: Database) -> None:
    # B151: executions finish on their snapshot
    workflow_id = await workflow(database, "1")
    await database.write(partial(workflows.delete, workflow_id=workflow_id))
    with pytest.raises(NotFound):
        await database.read(partial(workflows.find, workflow_id=workflow_id))
    data = partial(workflows.version_data, workflow_id=workflow_id, version=1)
    assert await database.read(data) == "1"


async def test_lists_are_paged_newest_first(database: Database) -> None:
    ids = [await workflow(database, name=f"W{number}") for number in range(5)]
    first = await database.read(partial(workflows.newest, limit=3))
    last = first[-1]
    after = (last["createdAt"], last["id"])
    rest = await database.read(partial(workflows.newest, limit=3, after=after))
    assert sorted(row["id"] for row in first + rest) == sorted(ids)
    assert len(rest) == 2
