"""What `a.b`, `a["b"]` and `a[1:3]` do."""

from typing import Any

from jinja2 import nodes

from core.templates.errors import MAX_QUOTE, cannot, clip
from core.templates.limits import ITEM, Run
from core.templates.values import ABSENT, Missing, kind, member


def look_up(base: Any, key: Any, path: str) -> Any:
    """Return a member of a value, or `Missing` with the path that was asked for."""
    if isinstance(base, Missing):
        return Missing(path, base.gone)
    found = member(base, key)
    return Missing(path) if found is ABSENT else found


def path_of(node: nodes.Node) -> str:
    """Write the path of a chain of members as its author did, more or less."""
    tail: list[str] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr):
            tail.append("." + node.attr)
        else:
            arg = node.arg
            tail.append(f"[{arg.value!r}]" if isinstance(arg, nodes.Const) else "[…]")
        node = node.node
    root = node.name if isinstance(node, nodes.Name) else "(…)"
    return clip(root + "".join(reversed(tail)), MAX_QUOTE)


def cut(run: Run, value: Any, parts: list[Any]) -> Any:
    """Slice a list or a text by `[start, stop, step]`."""
    if not isinstance(value, str | list | tuple):
        raise cannot(f"Only a list or a text can be sliced, not {kind(value)}.")
    if any(part is not None and type(part) is not int for part in parts) or parts[2] == 0:
        raise cannot("A slice is made of whole numbers, and its step is not 0.")
    indices = range(len(value))[slice(*parts)]
    if isinstance(value, str):
        run.make(len(indices))
    else:
        run.spend(ITEM * len(indices))
    return value[slice(*parts)]
