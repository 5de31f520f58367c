"""The statements of a template: output, `if` and bounded `for`; nothing else is offered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import nodes

from core.templates.compiler import Evaluate, Expressions
from core.templates.errors import TemplateError, cannot
from core.templates.limits import ITEM, MAX_LOOP_DEPTH, Run
from core.templates.parser import Parsed
from core.templates.values import kind, text

Write = Callable[[Run, list[str]], None]


class Statements(Expressions):
    """Compiles the body of one template into a function that appends its parts to a list."""

    def __init__(self, parsed: Parsed) -> None:
        super().__init__(parsed)
        self._loops = 0

    def single(self) -> nodes.Node | None:
        """Return the expression if the template is one `{{ expression }}` and nothing else."""
        body = self.parsed.tree.body
        if len(body) != 1 or not isinstance(body[0], nodes.Output):
            return None
        written = [part for part in body[0].nodes if not self._is_blank(part)]
        return None if len(written) != 1 or _is_data(written[0]) else written[0]

    def _is_blank(self, node: nodes.Node) -> bool:
        return isinstance(node, nodes.TemplateData) and not node.data.strip()

    def placed(self, node: nodes.Node) -> Evaluate:
        """Compile an expression that says where it stands when it fails."""
        evaluate = self.strict(node)

        def located(run: Run) -> Any:
            try:
                return evaluate(run)
            except TemplateError as error:
                raise self.place(error, node) from None

        return located

    def block(self, body: Sequence[nodes.Node]) -> Write:
        """Compile statements one after the other."""
        writes = [self._statement(node) for node in body]

        def write(run: Run, parts: list[str]) -> None:
            for each in writes:
                each(run, parts)

        return write

    def _statement(self, node: nodes.Node) -> Write:
        if isinstance(node, nodes.Output):
            return self._output(node)
        if isinstance(node, nodes.If):
            return self._if(node)
        if isinstance(node, nodes.For):
            return self._for(node)
        name = _statement_name(node)
        message = f'"{name}" is not offered in templates: there are only "if" and "for".'
        raise self.refuse(node, "template_construct", message, name)

    def _output(self, node: nodes.Output) -> Write:
        pieces = [
            self.parsed.data(part) if isinstance(part, nodes.TemplateData) else self._piece(part)
            for part in node.nodes
        ]

        def write(run: Run, parts: list[str]) -> None:
            run.spend(ITEM * len(pieces))
            parts.extend(
                run.emit(piece if isinstance(piece, str) else piece(run)) for piece in pieces
            )

        return write

    def _piece(self, node: nodes.Node) -> Callable[[Run], str]:
        value = self.placed(node)

        def piece(run: Run) -> str:
            shown = value(run)
            try:
                return text(run, shown)
            except TemplateError as error:
                raise self.place(error, node) from None

        return piece

    def _if(self, node: nodes.If) -> Write:
        branches = [
            (self.placed(branch.test), self.block(branch.body)) for branch in (node, *node.elif_)
        ]
        otherwise = self.block(node.else_)

        def write(run: Run, parts: list[str]) -> None:
            for test, body in branches:
                run.spend(ITEM)
                if test(run):
                    body(run, parts)
                    return
            otherwise(run, parts)

        return write

    def _for(self, node: nodes.For) -> Write:
        if node.recursive or self._loops >= MAX_LOOP_DEPTH:
            message = f"Loops nest at most {MAX_LOOP_DEPTH} deep and are not recursive."
            raise self.refuse(node, "template_construct", message, "for")
        source, otherwise = self.placed(node.iter), self.block(node.else_)
        assign, choose, body = self._loop_body(node)
        weight = ITEM * sum(1 for _ in node.find_all(nodes.Node))

        def write(run: Run, parts: list[str]) -> None:
            items = self._items(run, source(run), node)
            if choose is not None:
                items = [item for item in items if assign(run, item, {}) and choose(run)]
            for index, item in enumerate(items):
                run.spend(weight)
                assign(run, item, _position(index, len(items)))
                body(run, parts)
            if not items:
                otherwise(run, parts)

        return write

    def _items(self, run: Run, value: Any, node: nodes.For) -> list[Any]:
        try:
            if not isinstance(value, list | tuple | Mapping):
                raise cannot(f"A loop needs a list, not {kind(value)}.")
            run.iterate(len(value))
        except TemplateError as error:
            raise self.place(error, node) from None
        return list(value)

    def _loop_body(
        self, node: nodes.For
    ) -> tuple[Callable[[Run, Any, Any], bool], Evaluate | None, Write]:
        """Compile what is inside a loop, with its variables in slots of their own."""
        outer = dict(self.bound)
        self._loops += 1
        names = self._targets(node)
        slots = [f"{name}/{self._loops}" for name in names]
        loop_slot = f"loop/{self._loops}/"
        self.bound.update({"loop": loop_slot, **dict(zip(names, slots, strict=True))})
        choose = self.placed(node.test) if node.test is not None else None
        body = self.block(node.body)
        self.bound, self._loops = outer, self._loops - 1
        single = isinstance(node.target, nodes.Name)

        def assign(run: Run, item: Any, position: Any) -> bool:
            run.local[loop_slot] = position
            if single:
                run.local[slots[0]] = item
                return True
            if not isinstance(item, list | tuple) or len(item) != len(slots):
                message = f"Each item must be a list of {len(slots)}. For an object, use | items."
                raise self.place(cannot(message), node)
            run.local.update(zip(slots, item, strict=True))
            return True

        return assign, choose, body

    def _targets(self, node: nodes.For) -> list[str]:
        target = node.target
        found = target.items if isinstance(target, nodes.Tuple) else [target]
        if not all(isinstance(item, nodes.Name) for item in found):
            message = "A loop gives its items to plain names."
            raise self.refuse(node, "template_construct", message, "for")
        return [item.name for item in found if isinstance(item, nodes.Name)]


def _is_data(node: nodes.Node) -> bool:
    return isinstance(node, nodes.TemplateData)


def _statement_name(node: nodes.Node) -> str:
    name = type(node).__name__.lower()
    return {
        "assign": "set",
        "assignblock": "set",
        "callblock": "call",
        "filterblock": "filter",
        "fromimport": "from",
        "scopedevalcontextmodifier": "autoescape",
    }.get(name, name)


def _position(index: int, length: int) -> dict[str, Any]:
    return {
        "index": index + 1,
        "index0": index,
        "first": index == 0,
        "last": index == length - 1,
        "length": length,
    }
