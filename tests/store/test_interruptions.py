"""How often workers died with an execution in their hands, as its row counts it."""

from functools import partial

from store import leases
from store.changes import Lease
from store.engine import Database
from store.journal import Journal
from tests.store.executions import NODES, accept, claim, run_node


async def handed_over(database: Database, dead: str, heir: str) -> int:
    """Let a worker die and another one take what it held; return the count."""
    await database.write(partial(leases.bury, worker=dead))
    (claimed,) = await claim(database, heir)
    return claimed.interruptions


# P22: neighbours of what kills a worker are not blamed for it
async def test_what_gets_on_between_two_deaths_starts_over(database: Database) -> None:
    execution_id = await accept(database)
    await claim(database, "a")
    assert await handed_over(database, "a", "b") == 1
    journal = Journal(database, Lease(execution_id, 2))
    journal.started(NODES[0], 1, None)
    await journal.flush()
    assert await handed_over(database, "b", "c") == 2, "a start is no progress"
    journal = Journal(database, Lease(execution_id, 3))
    run_node(journal, NODES[0])
    await journal.flush()
    assert await handed_over(database, "c", "d") == 1
