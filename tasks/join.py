"""`join`: brings the records of two connections together."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import orjson
from pydantic import Field, ValidationInfo, field_validator

from core.errors import NodeError
from tasks.config_messages import config_error
from tasks.context import NodeContext
from tasks.outcomes import Completed
from tasks.records import as_records
from tasks.registry import NodeConfig, node

MOST_RECORDS = 100_000
"""A key that repeats on both sides multiplies the records: beyond this many the node fails."""


class JoinConfig(NodeConfig):
    """How the two sides come together."""

    strategy: Literal["concat", "mergeByKey"] = Field(
        "concat",
        alias="joinStrategy",
        description="concat: A's records, then B's. mergeByKey: records with the same key are one.",
    )
    kind: Literal["inner", "outer"] = Field(
        "inner",
        alias="joinType",
        description="For mergeByKey: inner keeps matches only, outer keeps every record.",
    )
    key: str = Field(
        "",
        alias="joinKey",
        description="For mergeByKey: the field that both sides have.",
        examples=["id"],
        validate_default=True,
    )

    @field_validator("key")
    @classmethod
    def _key_is_given(cls, key: str, info: ValidationInfo) -> str:
        if info.data.get("strategy") == "mergeByKey" and not key:
            raise config_error("required", '"joinKey" is required to merge by key.', "joinKey")
        return key


@node("join", title="Join", input_ports=("A", "B"), min_inputs=1, pure=True)
async def join(config: JoinConfig, data: Any, _context: NodeContext) -> Completed:
    """Brings two lists of records together: one after the other, or merged by a key.

    A side without data is an empty list, a single record a list of one. Keys are compared by
    value and type (`1` equals `1.0`, not `"1"`); a record without the key, or with `null` there,
    matches nothing. A repeated key gives every combination. The order is A's, and B's within;
    the records of B without a match come last. A field that occurs on both sides, the key apart,
    gets the prefix `B_` for B's value.
    """
    left, right = _sides(data)
    if config.strategy == "concat":
        joined = [*left, *right]
    else:
        joined = _merged(left, right, config.key, outer=config.kind == "outer")
    return Completed(joined, details={"recordsA": len(left), "recordsB": len(right)})


def _sides(data: Any) -> tuple[list[Any], list[Any]]:
    if isinstance(data, Mapping) and ("A" in data or "B" in data):
        return as_records(data.get("A")), as_records(data.get("B"))
    return as_records(data), []


def _merged(left: list[Any], right: list[Any], key: str, *, outer: bool) -> list[Any]:
    by_key = defaultdict(list)
    for number, record in enumerate(right):
        if (value := _key_of(record, key)) is not None:
            by_key[value].append(number)
    _check_size(left, by_key, key)
    names = _free_names(_fields(left), _fields(right), key)
    renamed = [_prefixed(record, names) for record in right]
    joined: list[Any] = []
    used: set[int] = set()
    for record in left:
        matches = by_key.get(_key_of(record, key) or b"", [])
        used.update(matches)
        joined += [{**record, **renamed[number], key: record[key]} for number in matches]
        if outer and not matches:
            joined.append(record)
    if outer:
        joined += [record for number, record in enumerate(renamed) if number not in used]
    return joined


def _key_of(record: Any, key: str) -> bytes | None:
    """Return the key of a record in a form that tells `1` from `"1"` and `true`."""
    value = record.get(key) if isinstance(record, Mapping) else None
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        value = int(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _check_size(left: list[Any], by_key: Mapping[bytes, list[int]], key: str) -> None:
    keys = Counter(value for record in left if (value := _key_of(record, key)) is not None)
    size = sum(count * len(by_key.get(value, ())) for value, count in keys.items())
    if size > MOST_RECORDS:
        raise NodeError(
            f'Merging by "{key}" would give {size} records, more than {MOST_RECORDS}.',
            code="payload_too_large",
        )


def _fields(records: Iterable[Any]) -> set[str]:
    return {field for record in records if isinstance(record, Mapping) for field in record}


def _free_names(left: set[str], right: set[str], key: str) -> dict[str, str]:
    """Return the new names of the fields of B that occur on both sides."""
    names = {}
    for field in (left & right) - {key}:
        new = f"B_{field}"
        while new in left or new in right:
            new = f"B_{new}"
        names[field] = new
    return names


def _prefixed(record: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(record, Mapping):
        return record
    return {names.get(field, field): value for field, value in record.items()}
