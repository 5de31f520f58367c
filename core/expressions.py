"""Templates in a workflow's configuration: `Hello {{ input.name }}`.

The language is a part of Jinja's: expressions, `{% if %}`, `{% for %}` (at most 1,000 items, two
deep), `{% raw %}`, and the filters and tests of `core.templates`. There are no calls, no methods,
no Python attributes: `a.b` is the key `b` of the object `a`. A comment `{# … #}` is plain text.

- A text that is one `{{ expression }}`, with white space around it or none, keeps the type of
  the value. In any other text null is empty, true and false are as in JSON, 5.0 is `5`, and
  lists and objects are compact JSON.
- What is missing is an error, save for the `default` filter and `is defined`.
- `{{ order-id }}`, `{{ Precio Total }}`: inside `{{ }}`, words with spaces, hyphens or dots
  between them are first looked up as one key, then as keys with dots between them
  (`nodes.http-1.body`); only then are they an expression.
- A result is never read as a template again, wherever it came from.

Work is bounded by construction: each operation pays for the size of what it touches.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from functools import lru_cache
from typing import Any

from core.errors import Problem
from core.templates.errors import TemplateError, cannot, limit_reached
from core.templates.limits import Run
from core.templates.parser import parse
from core.templates.statements import Statements
from core.templates.values import weigh

__all__ = [
    "Template",
    "TemplateError",
    "check_value",
    "compile_template",
    "is_template",
    "references",
    "render",
]

_MAX_VALUE_DEPTH = 100
_SHORT = 1_024  # characters; longer templates are rare and large when compiled


class Template:
    """A compiled template. It holds no state of a rendering: any thread may use it at any time.

    `references` are the ids in `nodes["id"]` and `nodes.id`; computed ones are not among them.
    `keeps_type` says that the template is one `{{ expression }}`.
    """

    __slots__ = ("_render", "keeps_type", "references", "text")

    def __init__(self, text: str) -> None:
        compiler = Statements(parse(text))
        single = compiler.single()
        try:
            self._render = _text(compiler) if single is None else compiler.placed(single)
        except RecursionError:
            raise limit_reached("The template is nested too deeply.").place("", 0) from None
        self.text = text
        self.keeps_type = single is not None
        self.references = frozenset(compiler.references)

    def render(self, scope: Mapping[str, Any]) -> Any:
        """Return the value of the template with the names of `scope`.

        Values are data and stay as they are. Raises `TemplateError`.
        """
        return self.render_in(Run(scope))

    def render_in(self, run: Run) -> Any:
        """Render as a part of a larger run, with what is left of its limits."""
        try:
            return self._render(run)
        except (RecursionError, MemoryError, OverflowError):
            raise limit_reached("The values are too large or too deep.") from None
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError):
            raise cannot("The values do not allow this operation.") from None


def _text(compiler: Statements) -> Callable[[Run], str]:
    write = compiler.block(compiler.parsed.tree.body)

    def render_text(run: Run) -> str:
        parts: list[str] = []
        write(run, parts)
        return "".join(parts)

    return render_text


_compile_short = lru_cache(maxsize=4_096)(Template)
_compile_long = lru_cache(maxsize=128)(Template)


def is_template(text: str) -> bool:
    """Tell whether a text is a template: it contains `{{` or `{%`. A `{#` alone is plain text."""
    return "{{" in text or "{%" in text


def compile_template(text: str) -> Template:
    """Compile a template, or return it from the cache. Raises `TemplateError` with its place."""
    return _compile_short(text) if len(text) <= _SHORT else _compile_long(text)


def render(value: Any, scope: Mapping[str, Any], verbatim_keys: Set[str] = frozenset()) -> Any:
    """Render every template in a text, or in the texts inside lists and objects, once.

    Keys are not templates, nor is what stands under a top-level key in `verbatim_keys`. The
    texts of one call share one limit of output. Raises `TemplateError` with its `pointer`.
    """
    return _Renderer(scope).visit(value, 0, verbatim_keys)


class _Renderer:
    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._run = Run(scope)
        self._seen: dict[int, Any] = {}

    def visit(self, value: Any, depth: int, verbatim: Set[str] = frozenset()) -> Any:
        if isinstance(value, str):
            return self._render(value) if is_template(value) else value
        if not isinstance(value, Mapping | list | tuple):
            return value
        if depth > _MAX_VALUE_DEPTH:
            raise _too_deep()
        if isinstance(value, Mapping):
            return {
                key: item if key in verbatim else self._below(item, key, depth)
                for key, item in value.items()
            }
        return [self._below(item, index, depth) for index, item in enumerate(value)]

    def _below(self, value: Any, key: object, depth: int) -> Any:
        try:
            return self.visit(value, depth + 1)
        except TemplateError as error:
            error.pointer = _step(key) + error.pointer
            raise

    def _render(self, text: str) -> Any:
        template = compile_template(text)
        result = template.render_in(self._run)
        if template.keeps_type and isinstance(result, str | Mapping | list | tuple):
            # The first time it costs nothing: the value exists already. What could fill the
            # store is the same value many times over.
            if id(result) in self._seen:
                weigh(self._run, result, share=1)
            self._seen[id(result)] = result
        return result


def check_value(value: Any, verbatim_keys: Set[str] = frozenset()) -> list[Problem]:
    """Compile every template in a configuration and return what is wrong, all of it.

    Pointers are relative to `value`; `verbatim_keys` are as in `render`. Nothing is rendered.
    """
    return [
        Problem(found.code, str(found), pointer)
        for pointer, found in _compiled(value, verbatim_keys)
        if isinstance(found, TemplateError)
    ]


def references(value: Any, verbatim_keys: Set[str] = frozenset()) -> list[tuple[str, str]]:
    """Return (pointer, node id) for each node that a template of a configuration names.

    Templates with mistakes are left out: `check_value` reports them.
    """
    return [
        (pointer, node_id)
        for pointer, found in _compiled(value, verbatim_keys)
        if isinstance(found, Template)
        for node_id in sorted(found.references)
    ]


def _compiled(value: Any, verbatim: Set[str]) -> Iterator[tuple[str, Template | TemplateError]]:
    """Yield every template of a value in document order, compiled or why it cannot be."""
    waiting: list[tuple[str, int, Any]] = [("", 0, value)]
    while waiting:
        pointer, depth, item = waiting.pop()
        if isinstance(item, str):
            if is_template(item):
                yield pointer, _try_compile(item)
        elif isinstance(item, Mapping | list | tuple):
            if depth > _MAX_VALUE_DEPTH:
                yield pointer, _too_deep()
                continue
            pairs = item.items() if isinstance(item, Mapping) else enumerate(item)
            waiting.extend(
                (pointer + _step(key), depth + 1, below)
                for key, below in reversed(list(pairs))
                if depth > 0 or key not in verbatim
            )


def _try_compile(text: str) -> Template | TemplateError:
    try:
        return compile_template(text)
    except TemplateError as error:
        return error


def _step(key: object) -> str:
    return "/" + str(key).replace("~", "~0").replace("/", "~1")


def _too_deep() -> TemplateError:
    return limit_reached(f"The configuration is nested over {_MAX_VALUE_DEPTH} deep.")
