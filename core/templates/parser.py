"""From text to Jinja's syntax tree, with exact positions.

Only Jinja's lexer and parser are used: no Python is generated from a template. Its environment is
the immutable sandbox with strict undefined values all the same, and without any global, filter
or test, so that nothing could be reached even if a template were rendered by it.

Tokens carry their offset in the text where Jinja keeps line numbers; so every node knows its own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.templates.errors import MAX_QUOTE, TemplateCode, TemplateError, clip, limit_reached
from core.templates.limits import MAX_BRACKETS, MAX_DEPTH, MAX_NODES, MAX_TEMPLATE

RawToken = tuple[int, str, str]
_PLAIN = re.compile(r"[\w\u0300-\u036f .\-]+")
_MAX_MESSAGE = 240

ENVIRONMENT = ImmutableSandboxedEnvironment(
    # A comment would swallow text such as "{# fff" that was never meant for us.
    comment_start_string="\x00{#",
    comment_end_string="#}\x00",
    keep_trailing_newline=True,
    undefined=StrictUndefined,
    autoescape=False,
    cache_size=0,
)
for _table in (ENVIRONMENT.globals, ENVIRONMENT.filters, ENVIRONMENT.tests):
    _table.clear()


@dataclass(frozen=True, slots=True)
class PlainName:
    """The inside of a `{{ }}` that is only words, spaces, hyphens and dots.

    It may name a key of the values just so (`order-id`, `Precio Total`); `expression` is what it
    means otherwise, `None` if it is no expression. `offset` is where it stands.
    """

    name: str
    offset: int
    expression: nodes.Expr | None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A syntax tree, and the plain names in it by the offset of the constant that stands there."""

    tree: nodes.Template
    plain: dict[int, PlainName]
    text: str
    positions: list[int]

    def place(self, offset: int) -> int:
        """Return the offset in the text as written, where a line may end in CR LF."""
        return self.positions[min(offset, len(self.positions) - 1)] if self.positions else offset

    def data(self, node: nodes.TemplateData) -> str:
        """Return plain text of the template as it was written, line ends included."""
        start, end = self.place(node.lineno), self.place(node.lineno + len(node.data))
        return self.text[start:end]


def parse(text: str) -> Parsed:
    """Parse a template. Raises `TemplateError` with line and column."""
    if len(text) > MAX_TEMPLATE:
        raise limit_reached(f"A template has at most {MAX_TEMPLATE} characters.").place("", 0)
    if "\x00" in text:
        message = "A template cannot contain the character U+0000."
        raise TemplateError("template_syntax", message).place(text, text.index("\x00"))
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.source = text.replace("\r\n", "\n").replace("\r", "\n")
        self.positions = _positions(text) if "\r" in text else []
        self.plain: dict[int, PlainName] = {}
        self.offset = 0
        self.long: list[str] = []

    def read(self) -> Parsed:
        try:
            tree = _tree(self._named(self._raw()))
            _check_size(tree)
        except TemplateSyntaxError as error:
            raise self._error(self._message(error), error.lineno) from None
        except TemplateError as error:
            raise error.place(self.source, self.offset) from None
        except (ValueError, OverflowError):
            raise self._error("A number cannot be read.", self.offset) from None
        except (RecursionError, MemoryError):
            raise limit_reached("The template is nested too deeply.").place(
                self.source, self.offset
            ) from None
        return Parsed(tree, self.plain, self.text, self.positions)

    def _raw(self) -> Iterator[RawToken]:
        """Yield Jinja's tokens with offsets in place of lines, and watch the brackets."""
        depth = 0
        try:
            for _line, kind, value in ENVIRONMENT.lexer.tokeniter(self.source, None):
                # Jinja drops white space beside "{%-" without a token for it.
                start = self.source.find(value, self.offset)
                if kind == "operator":
                    depth += (value in "([{") - (value in ")]}")
                if depth > MAX_BRACKETS:
                    raise limit_reached(f"Brackets are nested over {MAX_BRACKETS} deep.")
                if len(value) > MAX_QUOTE and kind != "data":
                    self.long.append(value)
                self.offset = start + len(value)
                yield start, kind, value
        except TemplateSyntaxError as error:
            error.lineno = self.offset
            raise

    def _named(self, tokens: Iterator[RawToken]) -> Iterator[RawToken]:
        """Put a constant in the place of every plain name, and remember the name."""
        for token in tokens:
            yield token
            if token[1] != "variable_begin":
                continue
            inner, end = _until(tokens, "variable_end")
            name = self.source[
                token[0] + len(token[2]) : inner[-1][0] + len(inner[-1][2]) if inner else 0
            ].strip()
            if end and _PLAIN.fullmatch(name) and not name.isidentifier():
                # No other node can stand at the offset of the opening brackets.
                plain = PlainName(
                    name,
                    self.source.index(name, token[0]),
                    _expression([token, *inner, *end]),
                )
                self.plain[token[0]] = plain
                inner = [(token[0], "integer", "0")]
            yield from inner
            yield from end

    def _message(self, error: TemplateSyntaxError) -> str:
        message = re.sub(r" at \d+$", "", error.message or "It cannot be read")
        for value in self.long:
            for form in (value, value[1:-1], repr(value)[1:-1], repr(value[1:-1])[1:-1]):
                message = message.replace(form, clip(form, MAX_QUOTE // 2))
        return clip(f"This is not a template: {message.rstrip('.')}.", _MAX_MESSAGE)

    def _error(self, message: str, offset: int) -> TemplateError:
        code: TemplateCode = "template_syntax"
        return TemplateError(code, message).place(self.source, min(offset, len(self.source)))


def _positions(text: str) -> list[int]:
    kept = [
        index
        for index, char in enumerate(text)
        if char != "\n" or index == 0 or text[index - 1] != "\r"
    ]
    return [*kept, len(text)]


def _until(tokens: Iterator[RawToken], kind: str) -> tuple[list[RawToken], list[RawToken]]:
    """Read tokens up to one of that kind: those before it, and that one if it came."""
    before: list[RawToken] = []
    for token in tokens:
        if token[1] == kind:
            return before, [token]
        before.append(token)
    return before, []


def _tree(tokens: Iterator[RawToken]) -> nodes.Template:
    parser = Parser(ENVIRONMENT, "")
    parser.stream = TokenStream(ENVIRONMENT.lexer.wrap(tokens), None, None)
    return parser.parse()


def _expression(tokens: list[RawToken]) -> nodes.Expr | None:
    """Parse one `{{ }}` by itself; `None` if there is no expression in it."""
    try:
        tree = _tree(iter(tokens))
        _check_size(tree)
    except (TemplateSyntaxError, ValueError):
        return None
    output = tree.body[0]
    return output.nodes[0] if isinstance(output, nodes.Output) else None


def _check_size(tree: nodes.Node) -> None:
    """Refuse what is too deep or too long, without recursion of our own."""
    count = 0
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise limit_reached(f"Operations are nested over {MAX_DEPTH} deep.")
        if count > MAX_NODES:
            raise limit_reached(f"A template has at most {MAX_NODES} parts.")
        waiting.extend((child, depth + 1) for child in node.iter_child_nodes())
