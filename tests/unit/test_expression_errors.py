"""What is said of a template that is wrong, and of one that does not fit its values."""

import pickle
from typing import Any

import pytest

from core.expressions import TemplateError, check_value, compile_template, render
from core.templates.errors import MAX_QUOTE

SCOPE: dict[str, Any] = {
    "name": "Ana",
    "n": 7,
    "a": {"b": 1, "c": {}},
    "input": {"items": [{"name": "pen"}], "nil": None},
    "nodes": {"http-1": {"body": [1]}},
}

MISTAKES: list[tuple[str, str, int, int]] = [
    ("{{ a ", "template_syntax", 1, 4),  # B115
    ("{% endif %}", "template_syntax", 1, 4),  # B115
    ("x\r\n\n  {{ $json }}", "template_syntax", 3, 6),
    ("line\n{{ a + }}", "template_syntax", 2, 8),
    ("{{ 'open }}", "template_syntax", 1, 4),
    ("{{ a | replace('x') }}", "template_syntax", 1, 8),
    ("\n{% set x = 1 %}", "template_construct", 2, 4),
    ("{% for a in b recursive %}{% endfor %}", "template_construct", 1, 4),
    ("{{ ''.__class__ }}", "template_forbidden", 1, 6),  # B117
    ("{{ name.upper() }}", "template_forbidden", 1, 14),
    ("{{ name | center(9) }}", "template_forbidden", 1, 11),
    ("{{ name is callable }}", "template_forbidden", 1, 9),
    ("{{ " + "(" * 40 + "1" + ")" * 40 + " }}", "template_limit", 1, 36),
    ("{{ 99999999999999999999 + 1 }}", "template_limit", 1, 4),
]


# B115, B116, B117
@pytest.mark.parametrize(("template", "code", "line", "column"), MISTAKES)
def test_a_mistake_is_found_without_rendering(
    template: str, code: str, line: int, column: int
) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(template)
    assert (caught.value.code, caught.value.line, caught.value.column) == (code, line, column)
    assert caught.value.message.endswith((".", "upper"))


FAILURES: list[tuple[str, str, str]] = [
    ("{{ missing }}", "template_undefined", '"missing" is not defined'),
    ("{{ input.customer.name }}", "template_undefined", '"input.customer.name" is not defined'),
    ("{{ input['items'][9].name }}", "template_undefined", "input['items'][9].name"),
    ("{{ name.first }}", "template_undefined", "name.first"),
    ("{{ nodes.gone-1.body }}", "template_undefined", "nodes.gone"),
    ("{{ No Such Field }}", "template_undefined", "No Such Field"),
    ("{% if missing %}x{% endif %}", "template_undefined", "missing"),
    ("{{ input['items'] | map(attribute='color') }}", "template_undefined", "item.color"),
    ("{{ 1 / 0 }}", "template_error", "divided by zero"),
    ("{{ 'a' * 3 }}", "template_error", "two numbers"),
    ("{{ 'a' < 1 }}", "template_error", "An order needs"),
    ("{{ (-8) ** 0.5 }}", "template_error", "no such power"),
    ("{{ 'x' + 1 }}", "template_error", "use ~"),
    ("{{ n | length }}", "template_error", "length needs"),
    ("{% for x in n %}{% endfor %}", "template_error", "A loop needs a list"),
    ("{% for k, v in a %}{% endfor %}", "template_error", "| items"),
    ("{{ 'soon' | date }}", "template_error", "not a date"),
    ("{{ '{' | fromjson }}", "template_error", "not JSON"),
    ("{{ [1, 'a'] | sort }}", "template_error", "one order"),
]


# B113, B119
@pytest.mark.parametrize(("template", "code", "words"), FAILURES)
def test_a_failure_says_what_and_where(template: str, code: str, words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render({"headers": [{"v/~": f"text\n{template}"}]}, SCOPE)
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.pointer == "/headers/0/v~1~0"
    assert caught.value.line == 2


# B119
def test_the_path_of_what_is_missing_is_on_the_error() -> None:
    with pytest.raises(TemplateError) as caught:
        render("{{ input.customer.name }}", SCOPE)
    assert caught.value.construct == "input.customer.name"
    assert 'there is no "input.customer"' in str(caught.value)
    assert "(line 1, column 4)" in str(caught.value)


@pytest.mark.parametrize(
    "template", ["{{ %s }}", "{{ a | %s }}", "{{ '%s' 'x' 5 }}", "{%% %s %%}", "{{ a b.%s }}"]
)
def test_a_message_quotes_at_most_64_characters(template: str) -> None:
    long = "q" * 500
    with pytest.raises(TemplateError) as caught:
        render(template % long, {"a": 1})
    assert "q" * (MAX_QUOTE + 1) not in str(caught.value)


def test_an_error_survives_a_pickle() -> None:
    with pytest.raises(TemplateError) as caught:
        render(["{{ missing }}"], SCOPE)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.pointer, copy.code) == (
        str(caught.value),
        "/0",
        "template_undefined",
    )


# B115, B117
def test_checking_reports_every_mistake_with_its_place() -> None:
    config = {"a": ["{{ x ", "{{ fine }}"], "b": {"c/d": "{{ f() }}"}, "code": "{{ "}
    found = check_value(config, frozenset({"code"}))
    assert [(each.code, each.pointer) for each in found] == [
        ("template_syntax", "/a/0"),
        ("template_forbidden", "/b/c~1d"),
    ]
    assert "line 1, column 4" in found[0].message
