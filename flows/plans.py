"""Compiled plans, kept by workflow and version: a version never changes."""

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial

from core.catalogue import NodeSpec
from core.errors import InvalidDocument
from core.graph import compile_document
from core.plan import Plan
from store import workflows
from store.engine import Database
from store.payloads import decode

KEPT = 256


class Plans:
    """The plans that a worker used last."""

    def __init__(
        self, database: Database, catalogue: Mapping[str, NodeSpec], *, lenient: bool
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._lenient = lenient
        self._kept: OrderedDict[tuple[str, int], Plan] = OrderedDict()

    async def get(self, workflow_id: str, version: int) -> Plan:
        """Return the plan of a version. Raises `NotFound` and `InvalidDocument`."""
        key = (workflow_id, version)
        if key not in self._kept:
            self._kept[key] = await self._compile(workflow_id, version)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    async def _compile(self, workflow_id: str, version: int) -> Plan:
        data = await self._database.read(
            partial(workflows.version_data, workflow_id=workflow_id, version=version)
        )
        try:
            document = decode(data)
        except ValueError:
            raise InvalidDocument("What is stored is not JSON.") from None
        compiled = compile_document(document, self._catalogue, lenient=self._lenient)
        if compiled.plan is None:
            raise InvalidDocument(problems=compiled.problems)
        return compiled.plan
