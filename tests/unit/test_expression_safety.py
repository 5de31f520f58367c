"""What hostile templates and hostile values cannot do."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.expressions import TemplateError, compile_template, render
from core.templates.limits import MAX_TEMPLATE, MAX_TEXT
from core.templates.parser import ENVIRONMENT

HERE = Path(__file__).parent
CANARY = "canary-3f9c1e"
SCOPE: dict[str, Any] = {
    "name": "Ana",
    "record": {"name": "Ana", "items": [1]},
    "items": [{"a": 1}, {"a": 2}],
}
ESCAPES = [
    line
    for line in (HERE / "template_escapes.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("##")
]


def test_the_corpus_is_large_and_without_doubles() -> None:
    assert len(ESCAPES) >= 150
    assert len(set(ESCAPES)) == len(ESCAPES)


# S-01, B117
@pytest.mark.parametrize("template", ESCAPES)
def test_no_escape_works(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    before = json.dumps(SCOPE)
    with pytest.raises(TemplateError) as caught:
        compile_template(template).render(SCOPE)
    assert CANARY not in str(caught.value)
    assert json.dumps(SCOPE) == before
    assert os.environ["CANARY"] == CANARY


# S-01: the same inside a text, a condition, a loop and a filter's argument
@pytest.mark.parametrize(
    "wrap", ["x {} y", "{{% if 1 %}}{}{{% endif %}}", "{{% for i in [1] %}}{}{{% endfor %}}"]
)
def test_no_escape_works_inside_other_forms(wrap: str) -> None:
    for template in ESCAPES:
        if "loop" in template:
            continue
        with pytest.raises(TemplateError):
            compile_template(wrap.format(template)).render(SCOPE)


INJECTED = [
    "{{7*7}}",
    "{{ secrets.x }}",
    "${7*7}",
    "{% for x in y %}",
    "{{ name }}",
    "#{7*7}",
    "{% raw %}",
    "{{",
    "}}",
    "<%= 7*7 %>",
]


# S-02
@pytest.mark.parametrize("hostile", INJECTED)
def test_a_value_is_never_read_as_a_template(hostile: str) -> None:
    scope = {"v": hostile, "deep": {"v": [hostile]}, "name": "no"}
    config = {
        "a": "{{ v }}",
        "b": "<{{ v }}>",
        "c": ["{{ deep.v }}"],
        "d": "{{ v ~ v }}",
        "e": "{% for x in deep.v %}{{ x }}{% endfor %}",
        "f": "{{ deep.v | join }}",
    }
    once = render(config, scope)
    assert once == {
        "a": hostile,
        "b": f"<{hostile}>",
        "c": [[hostile]],
        "d": hostile * 2,
        "e": hostile,
        "f": hostile,
    }


# S-02: a template that is put together from parts is a text, not a template
def test_a_template_made_by_a_template_stays_a_text() -> None:
    scope = {"open": "{{", "close": "}}"}
    assert render("{{ open }} 7*7 {{ close }}", scope) == "{{ 7*7 }}"
    assert render("{{ '{{' ~ ' 7*7 ' ~ close }}", scope) == "{{ 7*7 }}"


# S-03
def test_no_value_changes_the_environment() -> None:
    names = (
        "environment_params",
        "autoescape",
        "extensions",
        "undefined",
        "globals",
        "filters",
        "environment",
        "self",
        "loop",
        "tojson",
        "upper",
        "None",
        "range",
    )
    scope: dict[str, Any] = {name: {"x": "<b>"} for name in names}
    scope["x"] = "<b>"
    assert render("{{ x }}{{ x | upper }}{{ None }}", scope) == "<b><B>"
    for name in names[:-2]:
        assert render("{{ " + name + ".x }}", scope) == "<b>"
    with pytest.raises(TemplateError):
        render("{{ range(3) }}", scope)


# S-03
def test_the_environment_offers_nothing_of_its_own() -> None:
    assert isinstance(ENVIRONMENT, ImmutableSandboxedEnvironment)
    assert ENVIRONMENT.undefined is StrictUndefined
    assert ENVIRONMENT.autoescape is False
    assert ENVIRONMENT.bytecode_cache is None
    assert ENVIRONMENT.loader is None
    assert not ENVIRONMENT.globals
    assert not ENVIRONMENT.filters
    assert not ENVIRONMENT.tests
    assert not ENVIRONMENT.extensions


# S-04, B116, B118
@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of memory")
def test_no_bomb_takes_long_or_much_memory() -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "template_bombs.py")],
        cwd=HERE.parents[1],
        env={"PYTHONPATH": str(HERE.parents[1]), "PATH": os.environ.get("PATH", "")},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    report = json.loads(done.stdout)
    rendered = [row for row in report["results"] if row[1] in ("rendered", "template_undefined")]
    assert all(row[0].startswith(("{% if 0", "{{ a b")) for row in rendered), rendered
    assert [row for row in report["results"] if row[2] >= 2.0] == []
    assert len(report["results"]) > 80
    assert report["grown"] < 200 * 2**20


# B118
@pytest.mark.parametrize(
    "config",
    [
        "{{ x }}{{ x }}",
        ["{{ x }}!", "{{ x }}!"],
        ["{{ x }}"] * 9,
        ["{{ rows }}"] * 100,
    ],
)
def test_output_is_limited_in_all(config: Any) -> None:
    scope = {"x": "a" * (MAX_TEXT - 10), "rows": [{"k": "v" * 100}] * 1_000}
    with pytest.raises(TemplateError) as caught:
        render(config, scope)
    assert caught.value.code == "template_limit"


# B118: what exists already may be passed on whatever its size
def test_a_large_value_passes_whole() -> None:
    large = ["a" * 1_000] * 5_000
    assert render({"a": "{{ large }}"}, {"large": large})["a"] is large


def test_a_template_has_a_largest_size() -> None:
    assert render("x" * (MAX_TEMPLATE - 7) + "{{ 1 }}", {}).endswith("x1")
    with pytest.raises(TemplateError) as caught:
        compile_template("x" * (MAX_TEMPLATE - 6) + "{{ 1 }}")
    assert caught.value.code == "template_limit"


# B116: the deepest template that is allowed also works far down in a stack
def test_depth_that_is_allowed_works_in_a_deep_stack() -> None:
    nested = "{{ " + "(" * 31 + "1" + ")" * 31 + " + 1" * 90 + " }}"

    def deeper(levels: int) -> Any:
        return deeper(levels - 1) if levels else render(nested, {})

    assert deeper(250) == 91


def test_one_template_serves_many_threads() -> None:
    template = compile_template("{% for i in xs %}{{ i }}{{ tag }}{% endfor %}")

    def one(tag: int) -> bool:
        return bool(template.render({"xs": [1, 2] * 50, "tag": tag}) == f"1{tag}2{tag}" * 50)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(200)))


TOKENS = r"""{{ }} {% %} {# #} {%- -%} if else elif endif for in endfor raw endraw is not and or |
. , ( ) [ ] { } : ~ + - * / // ** % == < 'a' " ' 1 1.5 1e9 0x 0b _ a b-c items loop default map
tojson date('%s') \ \x $ @ ? ! é ² ;"""
PIECES = st.sampled_from([*TOKENS.split(), "\n", "\r\n", "\ud800", "\x00"])
TEXT = st.lists(PIECES | st.text(max_size=3), max_size=25).map(" ".join)


# S-01, B115
@settings(deadline=None, max_examples=400)
@given(text=TEXT | st.text().map(lambda text: "{{" + text + "}}"))
@example(text="{{ 1_ }}")
@example(text="{{ '\\N{x}' }}")
@example(text="{{ 0b }}{{ 08 }}{{ 1__0 }}")
@example(text="{% for a in b.c %}{{ a.")
@example(text="{{ " + "1" * 5_000 + "+1 }}")
def test_any_text_compiles_or_is_a_template_error(text: str) -> None:
    scope = {"a": {"b": [1, "x"]}, "items": [{"a": 1}], "b": "t"}
    with suppress(TemplateError):
        compile_template(text).render(scope)
