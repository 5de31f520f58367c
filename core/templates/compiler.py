"""From a syntax tree to closures. A node type that is not listed here does not exist.

A compiled expression is a function of the `Run`. It may return `Missing`, which only the
`default` filter and the tests `defined` and `undefined` take; `strict` refuses it elsewhere.
"""

import inspect
from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from core.templates.errors import MAX_QUOTE, TemplateCode, TemplateError, clip
from core.templates.filters import default_filter, filter_named
from core.templates.limits import Run
from core.templates.list_filters import predicate_named
from core.templates.members import cut, look_up, path_of
from core.templates.operators import arithmetic, compare, concatenate, negative
from core.templates.parser import Parsed, PlainName
from core.templates.predicates import TAKES_MISSING
from core.templates.values import ABSENT, Missing, bounded, field, is_number, text

Evaluate = Callable[[Run], Any]

_MAY_MISS = (nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.CondExpr, nodes.Const)
_SIGNS: dict[type[nodes.Node], str] = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.FloorDiv: "//",
    nodes.Mod: "%",
    nodes.Pow: "**",
}


class Expressions:
    """Compiles the expressions of one template, and collects the nodes that it refers to.

    `bound` holds the slot of each loop variable that is visible at this point.
    """

    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed
        self.references: set[str] = set()
        self.bound: dict[str, str] = {}
        self._rules: dict[type[nodes.Node], Callable[[Any], Evaluate]] = {
            nodes.Const: self._constant,
            nodes.Name: self._name,
            nodes.Getattr: self._attribute,
            nodes.Getitem: self._item,
            nodes.List: self._list,
            nodes.Tuple: self._list,
            nodes.Dict: self._dict,
            nodes.CondExpr: self._choice,
            nodes.And: self._and,
            nodes.Or: self._or,
            nodes.Not: self._not,
            nodes.Neg: self._sign,
            nodes.Pos: self._sign,
            nodes.Concat: self._concat,
            nodes.Compare: self._compare,
            nodes.Filter: self._filter,
            nodes.Test: self._test,
            nodes.Call: self._call,
            **dict.fromkeys(_SIGNS, self._arithmetic),
        }

    def refuse(
        self, node: nodes.Node, code: TemplateCode, message: str, construct: str
    ) -> TemplateError:
        """Build an error at a node."""
        error = TemplateError(code, message, construct=clip(construct))
        return self.place(error, node)

    def place(self, error: TemplateError, node: nodes.Node) -> TemplateError:
        """Give an error the position of a node."""
        plain = self.parsed.plain.get(node.lineno)
        offset = plain.offset if plain else node.lineno
        return error.place(self.parsed.text, self.parsed.place(offset))

    def strict(self, node: nodes.Node) -> Evaluate:
        """Compile an expression whose value must be there, with the position of its failure."""
        evaluate = self.compile(node)
        if not isinstance(node, _MAY_MISS):
            return evaluate

        def checked(run: Run) -> Any:
            value = evaluate(run)
            if isinstance(value, Missing):
                raise self.place(value.error(), node)
            return value

        return checked

    def compile(self, node: nodes.Node) -> Evaluate:
        """Compile an expression. Raises `TemplateError` for what is not offered."""
        rule = self._rules.get(type(node))
        if rule is None:
            name = type(node).__name__.lower()
            raise self.refuse(node, "template_construct", f'"{name}" is not offered here.', name)
        return rule(node)

    def _constant(self, node: nodes.Const) -> Evaluate:
        plain = self.parsed.plain.get(node.lineno)
        if plain is not None:
            return self._plain(node, plain)
        value = node.value
        if is_number(value):
            try:
                bounded(value)
            except TemplateError as error:
                raise self.place(error, node) from None
        return lambda _run: value

    def _plain(self, node: nodes.Const, plain: PlainName) -> Evaluate:
        """Look a plain name up as a key, then as a path of keys, then as an expression."""
        name, before = plain.name, set(self.references)
        for part in name.split("."):
            self._refuse_dunder(node, part)
        otherwise = self.compile(plain.expression) if plain.expression else None
        root, _, rest = name.partition(".")
        if root == "nodes" and rest and root not in self.bound:
            node_id = rest.split(".", 1)[0]
            if " " not in node_id or otherwise is None:
                self.references = {*before, node_id}
        slot = self.bound.get(root)

        def evaluate(run: Run) -> Any:
            found = field(run.local[slot], rest) if slot else field(run.scope, name)
            if found is not ABSENT:
                return found
            return otherwise(run) if otherwise else Missing(name)

        return evaluate

    def _refuse_dunder(self, node: nodes.Node, name: object) -> None:
        """No key of ours is written `__so__`: whoever asks for one means Python's insides."""
        if isinstance(name, str) and len(name) > 4 and name[:2] == name[-2:] == "__":
            message = f'"{clip(name)}" is not available to templates.'
            raise self.refuse(node, "template_forbidden", message, name)

    def _name(self, node: nodes.Name) -> Evaluate:
        name, slot = node.name, self.bound.get(node.name)
        self._refuse_dunder(node, name)
        if slot is not None:
            return lambda run: run.local[slot]

        def evaluate(run: Run) -> Any:
            try:
                return run.scope[name]
            except KeyError:
                return Missing(name)

        return evaluate

    def _attribute(self, node: nodes.Getattr) -> Evaluate:
        return self._member(node, node.node, node.attr)

    def _item(self, node: nodes.Getitem) -> Evaluate:
        if isinstance(node.arg, nodes.Slice):
            return self._slice(node, node.arg)
        if isinstance(node.arg, nodes.Const):
            return self._member(node, node.node, node.arg.value)
        base, key = self.compile(node.node), self.strict(node.arg)
        path = path_of(node)
        return lambda run: look_up(base(run), key(run), path)

    def _member(self, node: nodes.Node, base_node: nodes.Node, key: Any) -> Evaluate:
        self._refuse_dunder(node, key)
        of_nodes = isinstance(base_node, nodes.Name) and base_node.name == "nodes"
        if of_nodes and "nodes" not in self.bound:
            self.references.add(str(key))
        base, path = self.compile(base_node), path_of(node)
        return lambda run: look_up(base(run), key, path)

    def _slice(self, node: nodes.Getitem, bounds: nodes.Slice) -> Evaluate:
        base = self.strict(node.node)
        parts = [
            self.strict(part) if part else None for part in (bounds.start, bounds.stop, bounds.step)
        ]
        return lambda run: cut(run, base(run), [part(run) if part else None for part in parts])

    def _list(self, node: nodes.List | nodes.Tuple) -> Evaluate:
        parts = [self.strict(item) for item in node.items]
        return lambda run: [part(run) for part in parts]

    def _dict(self, node: nodes.Dict) -> Evaluate:
        pairs = [(self.strict(pair.key), self.strict(pair.value)) for pair in node.items]
        return lambda run: {text(run, key(run)): value(run) for key, value in pairs}

    def _choice(self, node: nodes.CondExpr) -> Evaluate:
        test, then = self.strict(node.test), self.compile(node.expr1)
        other = self.compile(node.expr2) if node.expr2 is not None else _nothing
        return lambda run: then(run) if test(run) else other(run)

    def _and(self, node: nodes.And) -> Evaluate:
        left, right = self.strict(node.left), self.strict(node.right)
        return lambda run: left(run) and right(run)

    def _or(self, node: nodes.Or) -> Evaluate:
        left, right = self.strict(node.left), self.strict(node.right)
        return lambda run: left(run) or right(run)

    def _not(self, node: nodes.Not) -> Evaluate:
        value = self.strict(node.node)
        return lambda run: not value(run)

    def _sign(self, node: nodes.UnaryExpr) -> Evaluate:
        value, sign = self.strict(node.node), node.operator
        return lambda run: negative(value(run), sign)

    def _arithmetic(self, node: nodes.BinExpr) -> Evaluate:
        left, right, sign = self.strict(node.left), self.strict(node.right), _SIGNS[type(node)]
        return lambda run: arithmetic(run, sign, left(run), right(run))

    def _concat(self, node: nodes.Concat) -> Evaluate:
        parts = [self.strict(part) for part in node.nodes]
        return lambda run: concatenate(run, [part(run) for part in parts])

    def _compare(self, node: nodes.Compare) -> Evaluate:
        first = self.strict(node.expr)
        rest = [(operand.op, self.strict(operand.expr)) for operand in node.ops]

        def evaluate(run: Run) -> bool:
            left = first(run)
            for sign, operand in rest:
                right = operand(run)
                if not compare(run, sign, left, right):
                    return False
                left = right
            return True

        return evaluate

    def _filter(self, node: nodes.Filter) -> Evaluate:
        if node.node is None:
            raise self.refuse(node, "template_construct", "A filter needs a value.", node.name)
        try:
            apply = filter_named(node.name)
        except TemplateError as error:
            raise self.place(error, node) from None
        value = self.compile(node.node) if apply is default_filter else self.strict(node.node)
        return self._applied(node, apply, value)

    def _test(self, node: nodes.Test) -> Evaluate:
        try:
            apply = predicate_named(node.name)
        except TemplateError as error:
            raise self.place(error, node) from None
        missing = node.name in TAKES_MISSING
        return self._applied(node, apply, (self.compile if missing else self.strict)(node.node))

    def _applied(
        self, node: nodes.Filter | nodes.Test, apply: Callable[..., Any], value: Evaluate
    ) -> Evaluate:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            message = "Arguments are written one by one, without * or **."
            raise self.refuse(node, "template_forbidden", message, node.name)
        try:
            inspect.signature(apply).bind(
                None, None, *node.args, **{str(pair.key): pair for pair in node.kwargs}
            )
        except TypeError as error:
            message = f'"{node.name}" cannot be used so: {clip(str(error), MAX_QUOTE)}.'
            raise self.refuse(node, "template_syntax", message, node.name) from None
        args = [self.strict(part) for part in node.args]
        named = {str(pair.key): self.strict(pair.value) for pair in node.kwargs}
        if not args and not named:
            return lambda run: apply(run, value(run))
        return lambda run: apply(
            run,
            value(run),
            *[part(run) for part in args],
            **{key: part(run) for key, part in named.items()},
        )

    def _call(self, node: nodes.Call) -> Evaluate:
        called = node.node
        message = "Functions cannot be called in a template."
        name = getattr(called, "attr", getattr(called, "name", ""))
        if isinstance(called, nodes.Getattr):
            self._refuse_dunder(node, called.attr)
            message = f"Methods cannot be called in a template. Use a filter: value | {clip(name)}"
            try:
                filter_named(name)
            except TemplateError:
                message = "Methods cannot be called in a template: filters do their work."
        raise self.refuse(node, "template_forbidden", message, str(name))


def _nothing(_run: Run) -> None:
    return None
