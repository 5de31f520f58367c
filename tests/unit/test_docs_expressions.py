"""`docs/expressions.md`: every example on the page is run, every table is complete."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from config import Settings
from core.expressions import TemplateError, check_value, render
from core.templates import limits
from core.templates.errors import TemplateCode
from core.templates.filters import FILTERS
from core.templates.predicates import PREDICATES
from tasks.context import NodeContext
from tasks.resources import Resources

PAGE = (Path(__file__).parents[2] / "docs" / "expressions.md").read_text("utf-8")
NODES = {"rates": {"eur": 1, "usd": 1.08}, "http-1": {"status": "ok"}}
ARROW = " → "


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def lines() -> list[tuple[str, str]]:
    found = [line for block in blocks("jinja") for line in block.splitlines()]
    return [
        (template, result) for template, _, result in (line.rpartition(ARROW) for line in found)
    ]


def table(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]


def code(cell: str) -> str:
    return cell.replace("\\|", "|").strip().removeprefix("`").removesuffix("`")


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def from_table(heading: str) -> list[tuple[str, str]]:
    return [(code(row[2]), code(row[3])) for row in table(heading)]


def scope() -> dict[str, Any]:
    settings = Settings()
    context = NodeContext(
        settings,
        Resources(settings),
        workflow_name="Invoices",
        nodes=NODES,
        inputs={"source": "https://shop.example.com"},
        started_at=datetime(2025, 3, 1, tzinfo=UTC),
    )
    return context.scope(json.loads(blocks("json")[0]))


EXAMPLES = [*lines(), *from_table("Filters"), *from_table("Tests")]


def test_the_examples_are_found() -> None:
    assert len(EXAMPLES) > 100


@pytest.mark.parametrize(("template", "result"), EXAMPLES)
def test_an_example_gives_what_the_page_says(template: str, result: str) -> None:
    if result.startswith("error "):
        with pytest.raises(TemplateError) as raised:
            render(template, scope())
        assert raised.value.code == result.removeprefix("error ")
        return
    value, expected = render(template, scope()), json.loads(result)
    assert value == expected
    assert type(value) is type(expected)


def test_every_filter_and_test_is_on_the_page_with_an_example_that_uses_it() -> None:
    for heading, known in (("Filters", FILTERS), ("Tests", PREDICATES)):
        listed = [name for row in table(heading) for name in names(row[0])]
        assert sorted(listed) == sorted(known)
        for row in table(heading):
            assert any(name in row[2] for name in names(row[0])), row


@pytest.mark.parametrize("row", table("When it goes wrong"), ids=lambda row: code(row[0]))
def test_a_mistake_is_found_when_the_page_says(row: list[str]) -> None:
    expected, when, template = code(row[0]), row[2], code(row[3])
    saved = [problem.code for problem in check_value({"text": template})]
    assert saved == ([expected] if when == "saved" else [])
    with pytest.raises(TemplateError) as raised:
        render(template, scope())
    assert raised.value.code == expected


def test_every_error_code_is_on_the_page() -> None:
    assert [code(row[0]) for row in table("When it goes wrong")] == list(get_args(TemplateCode))


def test_the_limits_are_those_of_the_code() -> None:
    shown = {row[0]: int(row[1].replace(",", "")) for row in table("Limits")}
    assert list(shown.values()) == [
        limits.MAX_TEMPLATE,
        limits.MAX_TEXT,
        limits.MAX_LOOP,
        limits.MAX_ITERATIONS,
        limits.MAX_LOOP_DEPTH,
        limits.MAX_BRACKETS,
        limits.MAX_NODES,
        limits.MAX_INTEGER,
    ]


def test_every_name_of_the_service_is_on_the_page() -> None:
    listed = {name.partition("[")[0] for row in table("Names") for name in names(row[0])}
    own = set(scope()) - set(json.loads(blocks("json")[0]))
    assert listed == own
