"""Answers that are put into the records that they are about."""

from typing import Any

import pytest

from core.graph import compile_document
from tasks.load import load_node_types
from tests.attempts import completed

ECHO = {
    "llmModel": "offline/echo",
    "llmPrompt": "urgent: down, broken\nnormal: question\n{{ text }}",
    "outputType": "enum",
    "enumOptions": ["urgent", "normal"],
    "llmResponseField": "urgency",
}


@pytest.mark.parametrize(
    ("mode", "data", "expected"),
    [
        (
            "perRow",
            [{"text": "It is down"}, {"text": "A question"}],
            [
                {"text": "It is down", "urgency": "urgent"},
                {"text": "A question", "urgency": "normal"},
            ],
        ),
        ("batch", {"text": "broken"}, {"text": "broken", "urgency": "urgent"}),
    ],
)
async def test_answers_join_their_records(mode: str, data: Any, expected: Any) -> None:
    # R003-18
    done = await completed("llm", {**ECHO, "processingMode": mode}, data)
    assert done.output == expected


def problems_of(config: dict[str, Any]) -> set[tuple[str, str]]:
    nodes = [
        {"id": "a", "type": "addField", "config": config},
        {"id": "b", "type": "output"},
    ]
    document = {"nodes": nodes, "connections": [{"fromNodeId": "a", "toNodeId": "b"}]}
    found = compile_document(document, load_node_types().catalogue()).problems
    return {(problem.code, problem.severity) for problem in found}


def test_templates_that_a_node_renders_itself_are_checked_for_what_they_name() -> None:
    # B114
    config = {"fieldName": "x", "fieldValue": '{{ nodes["b"] }}'}
    assert ("reference_not_upstream", "error") in problems_of(config)
    config = {"fieldName": "x", "fieldValue": '{{ nodes["zz"] }}'}
    assert ("reference_unknown", "error") in problems_of(config)


def test_what_another_type_left_behind_is_not_read_as_a_template() -> None:
    # B056: a warning, and nothing more
    config = {"fieldName": "x", "fieldValue": "1", "llmPrompt": "{{ broken"}
    assert problems_of(config) == {("config_key_ignored", "warning")}
