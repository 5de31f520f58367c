"""Whether one more execution is accepted: places in the queue, and limits of workflows."""

import time
from functools import partial
from typing import Any

from core.errors import Conflict
from core.plan import Concurrency
from store import transitions
from store.candidates import alive, own_workflow, waiting
from store.engine import Database

COUNTED_SECONDS = 0.1
"""For how long a count of the queue is believed: the limit is kept to within what several API
processes accept in this time.
"""


class Queue:
    """How full the queue of executions is that wait for a worker."""

    def __init__(self, database: Database, most: int) -> None:
        """`most` may wait; 0: as many as there are."""
        self._database = database
        self._most = most
        self._waiting = 0
        self._until = 0.0

    async def full(self) -> bool:
        """Tell whether the queue is full; if not, count one more. Raises `StorageUnavailable`."""
        if not self._most:
            return False
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + COUNTED_SECONDS
            self._waiting = await self._database.read(partial(waiting, most=self._most))
        self._waiting += 1
        return self._waiting > self._most


def make_room(
    connection: Any, concurrency: Concurrency | None, workflow_id: str
) -> Conflict | list[str]:
    """Refuse one more execution of a workflow, or cancel older ones for it, as its document says.

    Returns the ids of those that were cancelled.
    """
    if concurrency is None or concurrency.policy == "queue":
        return []
    own_workflow(connection, workflow_id)
    there = alive(connection, workflow_id)
    over = len(there) - concurrency.limit + 1
    if over > 0 and concurrency.policy == "reject":
        return Conflict(
            f"This workflow allows {concurrency.limit} executions at once, and {len(there)} wait "
            "or run: start it again when one of them has ended.",
            code="concurrency_limit",
        )
    for execution_id in there[: max(0, over)]:
        transitions.request_cancel(connection, execution_id, "replaced")
    return there[: max(0, over)]
