"""How the configuration of a node is checked: as a user saved it, and again as it is rendered.

A field may have several keys (`AliasChoices`): existing documents use all of them. The first
one with a value that is not empty counts. Front ends save `""` for a field that was never
touched: for a field that cannot hold text this means that it is absent.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from core.catalogue import KEY_IGNORED
from core.errors import NodeError, Problem
from core.expressions import is_template
from core.policy_config import COMMON_KEYS
from tasks.config_messages import Finding, findings

_M = TypeVar("_M", bound=BaseModel)

_known_keys: set[str] = {
    "approvalStatus",
    "assignedUserId",
    "assignedUserName",
    "code",
    "notificationChannel",
    "pythonCode",
}


def register_keys(model: type[BaseModel]) -> None:
    """Remember the keys of a node type.

    Front ends keep the keys of a node's former type when its user changes the type, also those of
    types that only they know (the set's first members): such keys do no harm.
    """
    _known_keys.update(key for keys in keys_by_field(model).values() for key in keys)


@cache
def keys_by_field(model: type[BaseModel]) -> Mapping[str, tuple[str, ...]]:
    """Return the keys of each field of a model in their order; the first is the proper one."""
    return {name: _keys(name, info) for name, info in model.model_fields.items()}


def _keys(name: str, info: FieldInfo) -> tuple[str, ...]:
    alias = info.validation_alias or info.alias
    if isinstance(alias, AliasChoices):
        return tuple(choice for choice in alias.choices if isinstance(choice, str))
    return (alias,) if isinstance(alias, str) else (name,)


def check_config(model: type[BaseModel], config: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with a configuration as its user saved it.

    Templates are not rendered yet: what a template will come to is checked when the node runs,
    so a problem with the value of one is left out here, save a fault of the template itself.
    A key that only other node types know is a warning, any other unknown key an error.
    Validators see `{"saved": True}` as their context.
    """
    found = [
        finding
        for finding in _findings(model, config)
        if finding.final or not finding.holds(_is_template)
    ]
    problems = [Problem(f.code, f.message, f.pointer) for f in found]
    return problems + [_leftover(model, key) for key in _unknown_keys(model, config)]


def _is_template(value: Any) -> bool:
    return isinstance(value, str) and is_template(value)


def parse_config(model: type[_M], rendered: Mapping[str, Any]) -> _M:
    """Return a rendered configuration as its model; keys of other node types are dropped.

    Raises `NodeError` with the code `config_invalid`, whose message names every problem, or
    `ssrf_blocked` when one of them is an address that no request may go to.
    """
    try:
        return model.model_validate(_canonical(model, rendered))
    except ValidationError as error:
        found = findings(error, rendered, _own_keys(model, rendered))
    problems = [{"code": f.code, "message": f.message, "pointer": f.pointer} for f in found]
    message = " ".join(f.message for f in found[:5])
    blocked = any(f.code == "url_blocked" for f in found)
    code = "ssrf_blocked" if blocked else "config_invalid"
    raise NodeError(message, code=code, details={"problems": problems[:100]})


def known_part(model: type[BaseModel], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of `config` that count for `model`, each under the user's own key."""
    if allows_any_key(model):
        return {key: value for key, value in config.items() if key not in COMMON_KEYS}
    return {key: config[key] for key in _chosen(model, config).values()}


def allows_any_key(model: type[BaseModel]) -> bool:
    """Tell whether a model takes keys that it does not name."""
    return model.model_config.get("extra") == "allow"


def _findings(model: type[BaseModel], config: Mapping[str, Any]) -> list[Finding]:
    try:
        model.model_validate(_canonical(model, config), context={"saved": True})
    except ValidationError as error:
        return findings(error, config, _own_keys(model, config))
    return []


def _canonical(model: type[BaseModel], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that count under the proper key of each field."""
    chosen = _chosen(model, config)
    keys = keys_by_field(model)
    values = {keys[field][0]: config[key] for field, key in chosen.items()}
    if allows_any_key(model):
        return {**known_part(model, config), **values}
    return values


def _own_keys(model: type[BaseModel], config: Mapping[str, Any]) -> dict[str, str]:
    """Return the user's own key for each field, by the field's name and by its proper key."""
    chosen = _chosen(model, config)
    keys = {field: keys[0] for field, keys in keys_by_field(model).items()}
    own = {field: chosen.get(field, keys[field]) for field in keys}
    return own | {keys[field]: key for field, key in own.items()}


def _chosen(model: type[BaseModel], config: Mapping[str, Any]) -> dict[str, str]:
    chosen = {}
    for field, keys in keys_by_field(model).items():
        key = _first_given(keys, config, takes_text=_takes_text(model, field))
        if key is not None:
            chosen[field] = key
    return chosen


def _first_given(keys: Iterable[str], config: Mapping[str, Any], *, takes_text: bool) -> str | None:
    given = [key for key in keys if key in config]
    filled = (key for key in given if config[key] != "")
    return next(filled, given[0] if given and takes_text else None)


@cache
def _takes_text(model: type[BaseModel], field: str) -> bool:
    return _accepts_text(model.model_fields[field].annotation)


def _accepts_text(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return any(_accepts_text(member) for member in get_args(annotation))
    if origin is Literal:
        return "" in get_args(annotation)
    return annotation is str or annotation is Any


def _unknown_keys(model: type[BaseModel], config: Mapping[str, Any]) -> list[str]:
    if allows_any_key(model):
        return []
    own = {key for keys in keys_by_field(model).values() for key in keys}
    return [key for key in config if key not in own and key not in COMMON_KEYS]


def _leftover(model: type[BaseModel], key: str) -> Problem:
    pointer = Finding.pointer_of((key,))
    shown = key if len(key) <= 64 else f"{key[:63]}…"
    if key in _known_keys:
        message = f'"{shown}" belongs to another node type and is ignored here.'
        return Problem(KEY_IGNORED, message, pointer, severity="warning")
    near = get_close_matches(shown, [keys[0] for keys in keys_by_field(model).values()], n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return Problem("field_unknown", f'This node type has no setting "{shown}".{hint}', pointer)
