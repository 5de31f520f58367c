"""What a node's id may be, and ids that are the same or look it."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from core.findings import Place, quote, quote_all

LONGEST_ID = 128

_NAMED = 5
"""How many of the other nodes a message names."""


def id_fault(node_id: str) -> tuple[str, str] | None:
    """Return code and message of what is wrong with an id by itself, or None."""
    if not node_id.strip():
        return "id_empty", "The id is empty: give the node an id of its own."
    if len(node_id) > LONGEST_ID:
        return (
            "id_too_long",
            f"The id {quote(node_id)} has {len(node_id):,} characters: use at most {LONGEST_ID}.",
        )
    if _is_strange(node_id):
        return (
            "id_chars",
            (
                f'The id {quote(node_id)} may not hold "/", "\\", ":", "..", a control or '
                "invisible character, or a space at either end: use letters, digits, - and _."
            ),
        )
    return None


def _is_strange(node_id: str) -> bool:
    if not node_id.isprintable() or node_id != node_id.strip() or node_id == ".":
        return True
    return any(part in node_id for part in ("/", "\\", ":", ".."))


def check_ids(ids: Iterable[tuple[str, Place]]) -> None:
    """Record ids given twice, and ids that are equal after Unicode NFC and case folding.

    Each comes with the place of its node. The problem is recorded at every node concerned.
    """
    groups: dict[str, dict[str, list[Place]]] = defaultdict(lambda: defaultdict(list))
    for node_id, place in ids:
        groups[_fold(node_id)][node_id].append(place)
    for alike in groups.values():
        for node_id, places in alike.items():
            _report_duplicates(node_id, places)
        if len(alike) > 1:
            _report_confusable(alike)


def _fold(node_id: str) -> str:
    if node_id.isascii():
        return node_id.lower()
    composed = unicodedata.normalize("NFC", node_id)
    return unicodedata.normalize("NFC", composed.casefold())


def _report_duplicates(node_id: str, places: list[Place]) -> None:
    for place in places if len(places) > 1 else ():
        others = [other.pointer for other in places[: _NAMED + 1] if other is not place][:_NAMED]
        place.at("id").error(
            "node_id_duplicate",
            f"The id {quote(node_id)} is also that of {', '.join(others)}: "
            "give every node an id of its own.",
        )


def _report_confusable(alike: dict[str, list[Place]]) -> None:
    first = list(alike)[: _NAMED + 1]
    for node_id, places in alike.items():
        others = [other for other in first if other != node_id][:_NAMED]
        places[0].at("id").error(
            "node_id_confusable",
            f"The id {quote(node_id)} differs from {quote_all(others)} only by case or by how "
            "its characters are composed: rename one of them.",
        )
