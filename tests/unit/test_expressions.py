"""The template language: what each form gives."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import StorageUnavailable
from core.expressions import (
    compile_template,
    is_template,
    references,
    render,
)

ROWS = [{"name": "pen", "price": 2.5, "tags": ["a"]}, {"name": "ink", "price": 4, "tags": []}]
SCOPE: dict[str, Any] = {
    "name": "Ana",
    "n": 7,
    "none": None,
    "yes": True,
    "order": 10,
    "id": 3,
    "Precio Total": 99.5,
    "año-mes": "2024-05",
    "m²": 12,
    "a.b": "literal",
    "a": {"b": "nested", "c": {"d": [1, 2, 3]}},
    "input": {"items": ROWS, "keys": "k", "order-id": "o-1", "_id": "x", "nil": None},
    "nodes": {"http-1": {"body": [1]}, "My Node": {"v": 2}, "5": {"v": 5}, "plain": 6},
    "when": datetime(2024, 1, 2, 3, 4, tzinfo=UTC),
}

VALUES: list[tuple[str, Any]] = [
    ("{{ n }}", 7),
    (" \n{{ n }}\t", 7),
    ("{{ none }}", None),
    ("{{ input.nil }}", None),
    ("{{ input.items }}", ROWS),
    ("{{ input.keys }}", "k"),
    ("{{ input._id }}", "x"),
    ("{{ input.items.0.name }}", "pen"),
    ("{{ input['items'][-1].name }}", "ink"),
    ("{{ a.c.d[0:2] }}", [1, 2]),
    ("{{ name[0] ~ name[-1] }}", "Aa"),
    ("{{ nodes['http-1'].body[0] }}", 1),
    ("{{ nodes[5].v + nodes.5.v }}", 10),
    ("{{ 1 + 2 * 3 - 4 / 2 }}", 5.0),
    ("{{ 7 // 2 }}", 3),
    ("{{ 2 ** 10 % 1000 }}", 24),
    ("{{ -n }}", -7),
    ("{{ 'a' + 'b' }}", "ab"),
    ("{{ [1] + [2] }}", [1, 2]),
    ("{{ {'k': n, 1: (2, 3)} }}", {"k": 7, "1": [2, 3]}),
    ("{{ 1 < 2 <= 2 }}", True),
    ("{{ 'a' in name|lower and 2 not in [1] }}", True),
    ("{{ 'b' in a }}", True),
    ("{{ name if yes else missing }}", "Ana"),
    ("{{ name if not yes }}", None),
    ("{{ missing.deeper.still | default('x') }}", "x"),
    ("{{ input.nil | default('x', true) }}", "x"),
    ("{{ [] | first | default(0) }}", 0),
    ("{{ missing is defined or a.c.z is undefined }}", True),
    ("{{ n is odd and n is not even and 6 is divisibleby 3 }}", True),
    ("{{ yes is boolean and yes is not number and none is none }}", True),
    ("{{ input.items | map(attribute='price') | sum }}", 6.5),
    ("{{ input.items | sum(attribute='price') }}", 6.5),
    ("{{ input.items | sort(attribute='name') | map(attribute='name') | join('+') }}", "ink+pen"),
    ("{{ input.items | selectattr('price', 'gt', 3) | length }}", 1),
    ("{{ input.items | rejectattr('tags') | map(attribute='name') | list }}", ["ink"]),
    ("{{ [3, 1, 3] | unique | sort(reverse=true) }}", [3, 1]),
    ("{{ [true, 1, {'a': 1}, {'a': 1}] | unique }}", [True, 1, {"a": 1}]),
    ("{{ ['b', 'A'] | map('upper') | sort }}", ["A", "B"]),
    ("{{ [4, 2] | min + [4, 2] | max + [1, 5] | last }}", 11),
    ("{{ [1, 2, 3, 4] | select('even') | reverse }}", [4, 2]),
    ("{{ a.c | items }}", [["d", [1, 2, 3]]]),
    ("{{ {'b': 1, 'a': 2} | dictsort }}", [["a", 2], ["b", 1]]),
    ("{{ a | keys | list + a.c | values }}", ["b", "c", [1, 2, 3]]),
    ("{{ '2.50' | float + '3' | int + 'x' | int(9) }}", 14.5),
    ("{{ 2.5 | round }}", 3),
    ("{{ 2.675 | round(2) }}", 2.68),
    ("{{ 2.1 | round(method='ceil') }}", 3),
    ("{{ -2 | abs }}", 2),
    ("{{ '[1, {\"a\": null}]' | fromjson }}", [1, {"a": None}]),
    ("{{ 'a,b' | split(',') }}", ["a", "b"]),
]

TEXTS: list[tuple[str, str]] = [
    ("no template", "no template"),
    ("Hi {{ name }}!", "Hi Ana!"),
    ("[{{ none }}|{{ yes }}|{{ 5.0 }}|{{ 0.1 }}|{{ n }}]", "[|true|5|0.1|7]"),
    ("<{{ a }}>", '<{"b":"nested","c":{"d":[1,2,3]}}>'),
    ("{{ '<' | tojson }} {{ '<b>' | e }}", '"<" &lt;b&gt;'),
    ("at {{ when }}", "at 2024-01-02T03:04:00+00:00"),
    ("{{ when | date('%d/%m/%Y') }} {{ 0 | date }}", "02/01/2024 1970-01-01"),
    ("{{ 'o\\'neil and 2nd' | title }}.", "O'neil And 2nd."),
    ("{{ ' x ' | trim }}{{ 'xay' | trim('xy') }}{{ 'aa' | replace('a', 'b', 1) }}", "xaba"),
    ("{{ 'the quick fox' | truncate(12) }}|{{ 'abcdef' | truncate(4, true) }}", "the...|a..."),
    (
        "{{ 'a b/ñ' | urlencode }}?{{ {'q': 'a b', 'n': 1} | urlencode }}",
        "a%20b/%C3%B1?q=a%20b&n=1",
    ),
    ("{% if n > 5 %}big{% elif n > 2 %}mid{% else %}small{% endif %}", "big"),
    ("{% for r in input['items'] %}{{ loop.index }}.{{ r.name }} {% endfor %}", "1.pen 2.ink "),
    ("{% for k, v in a.c | items %}{{ k }}={{ v }}{% else %}none{% endfor %}", "d=[1,2,3]"),
    ("{% for x in [] %}{{ x }}{% else %}none{% endfor %}", "none"),
    ("{% for x in a.c.d if x > 1 %}{{ loop.length }}{{ x }}{% endfor %}", "2223"),
    ("{% for x in [1] %}{% for x in [2] %}{{ x }}{% endfor %}{{ x }}{% endfor %}", "21"),
    ("{% raw %}{{ name }}{% endraw %} {{ name }}", "{{ name }} Ana"),
    ("a {%- if yes -%} b {%- endif %}\n", "ab\n"),
    ("{# not a comment {{ name }} #}", "{# not a comment Ana #}"),
    ("a\r\n{{ name }}\r\n\rb\n", "a\r\nAna\r\n\rb\n"),
]

PLAIN_NAMES: list[tuple[str, Any]] = [
    ("{{ Precio Total }}", 99.5),
    ("{{Precio Total}} €", "99.5 €"),
    ("{{ año-mes }}", "2024-05"),
    ("{{ m² }}", 12),
    ("{{ order-id }}", 7),  # no such key: a subtraction
    ("{{ input.order-id }}", "o-1"),
    ("{{ a.b }}", "literal"),
    ("{{ nodes.http-1.body }}", [1]),
    ("{{ nodes.My Node.v }}", 2),
    ("{{ 5 }}", 5),
    ("{{ 1.5 }}", 1.5),
    ("{% for a in [{'b': 1, 'x-y': 2}] %}{{ a.b }}{{ a.x-y }}{% endfor %}", "12"),
]


# B119: everything below that renders does so without an error
@pytest.mark.parametrize(("template", "expected"), VALUES + TEXTS + PLAIN_NAMES)
def test_a_template_gives(template: str, expected: Any) -> None:
    result = render(template, SCOPE)
    assert result == expected
    assert type(result) is type(expected)


def test_a_key_of_that_very_name_wins_over_an_expression() -> None:
    assert render("{{ order-id }}", {**SCOPE, "order-id": "A-17"}) == "A-17"


def test_a_value_that_is_passed_on_whole_is_the_same_object() -> None:
    assert render("{{ input.items }}", SCOPE) is ROWS


def test_what_is_a_template() -> None:
    assert [is_template(text) for text in ("{{ a }}", "{% if a %}", "{# a #}", "{ {a} }")] == [
        True,
        True,
        False,
        False,
    ]


def test_rendering_goes_into_values_and_leaves_keys_and_verbatim_alone() -> None:
    config = {
        "url": "/{{ n }}",
        "{{ n }}": ["{{ n }}", 5, None],
        "code": "{{ n",
        "in": {"code": "{{ n }}"},
    }
    assert render(config, SCOPE, frozenset({"code"})) == {
        "url": "/7",
        "{{ n }}": [7, 5, None],
        "code": "{{ n",
        "in": {"code": 7},
    }


# B114
def test_the_nodes_that_a_template_names() -> None:
    template = compile_template(
        "{{ nodes['a b'].x ~ nodes.c.y ~ nodes[7] ~ nodes[n] }}{{ nodes.http-1.z }}"
        "{{ nodes.d - nodes.e }}{% for nodes in [] %}{{ nodes.f }}{% endfor %}"
    )
    assert template.references == {"a b", "c", "7", "http-1", "d", "e"}
    config = {"u": "{{ nodes.a }}", "bad": "{{ nodes.b", "code": "{{ nodes.c }}"}
    assert references(config, frozenset({"code"})) == [("/u", "a")]


class _Stored(Mapping[str, Any]):
    """Node results that are read from a database when they are asked for."""

    def __getitem__(self, key: str) -> Any:
        if key == "down":
            raise StorageUnavailable
        return {"ok": 1}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(["ok"])

    def __len__(self) -> int:
        return 1


def test_results_may_be_fetched_on_demand_and_a_fault_of_the_store_is_no_template_error() -> None:
    assert render("{{ nodes.ok }}{{ nodes.no | default(2) }}", {"nodes": _Stored()}) == "12"
    assert render("{{ nodes | tojson }}", {"nodes": _Stored()}) == '{"ok":1}'
    with pytest.raises(StorageUnavailable):
        render("{{ nodes.down }}", {"nodes": _Stored()})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=10,
)


# S-02
@settings(deadline=None, max_examples=60)
@given(value=JSON, key=st.text(min_size=1))
def test_any_value_passes_through_untouched(value: Any, key: str) -> None:
    assert render("{{ v }}", {"v": value}) is value
    assert render({key: ["{{ v.k }}"]}, {"v": {"k": value}}) == {key: [value]}
