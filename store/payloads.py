"""JSON values as they are stored: small ones as text, large ones once, under their hash.

A large value's text in a column is `@sha256:<hash>:<size>`, which no JSON text can be; in an event
it is `{ref, size, truncated}`.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from database import payload_uses, payloads
from store.clock import timestamp

INLINE_LIMIT = 64 * 1024
"""Bytes of JSON above which a value is stored apart."""
_MARK = "@sha256:"


def encode(value: Any) -> bytes:
    """Return a value as compact JSON. Raises `TypeError` for what is not JSON."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


def decode(text: str | bytes) -> Any:
    """Return the value of a JSON text."""
    return orjson.loads(text)


@dataclass(frozen=True, slots=True)
class Stored:
    """A value made ready for storing: serialised once, used in every place that shows it."""

    json: bytes
    hash: str | None = None

    @classmethod
    def of(cls, value: Any) -> "Stored":
        """Serialise a value."""
        json = encode(value)
        if len(json) <= INLINE_LIMIT:
            return cls(json)
        return cls(json, hashlib.sha256(json).hexdigest())

    @property
    def column(self) -> str:
        """What a column holds."""
        return self.json.decode() if self.hash is None else f"{_MARK}{self.hash}:{len(self.json)}"

    @property
    def fragment(self) -> orjson.Fragment:
        """What an event or a log shows, ready to be put into a larger JSON value."""
        if self.hash is None:
            return orjson.Fragment(self.json)
        return orjson.Fragment(encode(reference(self.hash, len(self.json))))


def reference(digest: str, size: int) -> dict[str, Any]:
    """Return what stands in the place of a large value; `size` is in bytes of JSON."""
    return {"ref": digest, "size": size, "truncated": True}


def payload_rows(values: Iterable[Stored]) -> list[dict[str, Any]]:
    """Return the rows that the large ones among these values need."""
    at = timestamp()
    large = {value.hash: value.json for value in values if value.hash is not None}
    return [
        {"hash": digest, "size": len(json), "value": json.decode(), "createdAt": at}
        for digest, json in large.items()
    ]


def insert_payloads(
    connection: sa.Connection, rows: list[dict[str, Any]], execution_id: str
) -> None:
    """Store payloads that are not there yet, and that an execution uses them."""
    if not rows:
        return
    uses = [{"executionId": execution_id, "hash": row["hash"]} for row in rows]
    if connection.dialect.name == "sqlite":
        connection.execute(sqlite.insert(payloads).on_conflict_do_nothing(), rows)
        connection.execute(sqlite.insert(payload_uses).on_conflict_do_nothing(), uses)
        return
    # Made young again, a payload is not deleted by someone who does not see its new use yet.
    insert = postgresql.insert(payloads)
    young = {"createdAt": insert.excluded.createdAt}
    ordered = sorted(rows, key=lambda row: str(row["hash"]))
    connection.execute(insert.on_conflict_do_update(index_elements=["hash"], set_=young), ordered)
    connection.execute(postgresql.insert(payload_uses).on_conflict_do_nothing(), uses)


def load_column(connection: sa.Connection, column: str | None) -> Any:
    """Return the value of a column written as `Stored.column`; null for an empty one."""
    if column is None:
        return None
    if not column.startswith(_MARK):
        return decode(column)
    digest = column.removeprefix(_MARK).split(":", 1)[0]
    return decode(connection.execute(_BY_HASH, {"hash": digest}).scalar_one())


def is_reference(column: str | None) -> bool:
    """Tell whether a column's value is stored apart."""
    return column is not None and column.startswith(_MARK)


def find_payload(connection: sa.Connection, digest: str) -> str | None:
    """Return the JSON text of a payload by its hash, or `None`."""
    return connection.execute(_BY_HASH, {"hash": digest}).scalar_one_or_none()


def shown_column(column: str | None) -> Any:
    """Return a column's value for showing: a large one as its reference."""
    if column is None or not column.startswith(_MARK):
        return None if column is None else decode(column)
    digest, size = column.removeprefix(_MARK).split(":", 1)
    return reference(digest, int(size))


_BY_HASH = sa.select(payloads.c.value).where(payloads.c.hash == sa.bindparam("hash"))
