"""What may be wrong with a template, as one exception."""

from typing import Literal

TemplateCode = Literal[
    "template_syntax",
    "template_construct",
    "template_forbidden",
    "template_limit",
    "template_undefined",
    "template_error",
]
MAX_QUOTE = 64


def clip(text: str, limit: int = MAX_QUOTE) -> str:
    """Shorten `text` to at most `limit` characters, the last one an ellipsis if any are lost."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


class TemplateError(Exception):
    """A template cannot be read (found at compile time) or cannot be rendered with these values.

    `code`: `template_syntax` (not a template), `template_construct` (a statement that is not
    offered), `template_forbidden` (a call, filter or name that is not offered), `template_limit`
    (too large, too deep, too much work), `template_undefined` (a name or key that is not there),
    `template_error` (an operation that these values do not allow).
    `line` and `column` count from 1 within the template. `construct` is what it is about: the
    path that is missing, the filter or statement that is refused. `pointer` is the JSON pointer
    of the failing text within the value that was rendered.
    """

    def __init__(
        self,
        code: TemplateCode,
        message: str,
        *,
        construct: str = "",
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.construct = construct
        self.line = line
        self.column = column
        self.pointer = ""

    def __str__(self) -> str:
        if self.line is None:
            return self.message
        return f"{self.message} (line {self.line}, column {self.column})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.code, self.message), self.__dict__

    def place(self, text: str, offset: int) -> "TemplateError":
        """Say where in `text` it happened, unless that is known already."""
        if self.line is None:
            before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
            self.line = before.count("\n") + 1
            self.column = len(before) - (before.rfind("\n") + 1) + 1
        return self


def limit_reached(message: str) -> TemplateError:
    """Build the error for too much size, depth or work."""
    return TemplateError("template_limit", message)


def cannot(message: str) -> TemplateError:
    """Build the error for an operation that the values do not allow."""
    return TemplateError("template_error", message)
