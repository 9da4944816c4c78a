"""Keys of a configuration dataclass by dotted name with their types, and the nearest to a misspelt key."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


@cache
def key_types(schema: type) -> dict[str, Any]:
    """Return the type of each key of a dataclass; keys of nested dataclasses have dotted names."""
    hints = get_type_hints(schema)
    types: dict[str, Any] = {}
    for field in fields(schema):
        hint = hints[field.name]
        if is_dataclass(hint) and isinstance(hint, type):
            types |= {f"{field.name}.{key}": inner for key, inner in key_types(hint).items()}
        else:
            types[field.name] = hint
    return types


@cache
def key_defaults(schema: type) -> dict[str, Any]:
    """Return the default of each key of a dataclass by dotted name."""
    defaults: dict[str, Any] = {}

    def walk(instance: Any, before: str) -> None:
        for field in fields(instance):
            value = getattr(instance, field.name)
            if is_dataclass(value):
                walk(value, f"{before}{field.name}.")
            else:
                defaults[f"{before}{field.name}"] = value

    if all(item.default is not MISSING or item.default_factory is not MISSING for item in fields(schema)):
        walk(schema(), "")
    return defaults


def type_of(key: str, schema: type) -> Any:
    """Return the type of a key, also of one inside a dictionary; None for an unknown key."""
    types = key_types(schema)
    if key in types:
        return types[key]
    parents = key.split(".")
    for length in range(len(parents) - 1, 0, -1):
        hint = types.get(".".join(parents[:length]))
        if get_origin(hint) is dict:
            return get_args(hint)[1]
    return None


def leaves(content: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the values of a nested dictionary by dotted key; an empty dictionary is a value."""
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def has_part(key: str, schema: type) -> bool:
    """Return whether a key is a group of keys: a nested dataclass."""
    return any(name.startswith(f"{key}.") for name in key_types(schema))


def without_none(hint: Any) -> tuple[Any, bool]:
    """Return the type without None, and whether None is allowed."""
    if get_origin(hint) in (Union, UnionType):
        inner = [item for item in get_args(hint) if item is not NoneType]
        return inner[0], len(inner) < len(get_args(hint))
    return hint, False


def nearest_keys(key: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return the keys that are most similar to a misspelt one, by their whole name or its last part."""
    known = list(known)
    by_last: dict[str, list[str]] = {}
    for name in known:
        by_last.setdefault(name.rpartition(".")[2], []).append(name)
    group, _, last = key.rpartition(".")
    same_group = {name.rpartition(".")[2]: name for name in known if name.rpartition(".")[0] == group}
    candidates = [
        *(same_group[part] for part in difflib.get_close_matches(last, same_group, count, 0.75)),
        *by_last.get(last, []),
        *(name for part in difflib.get_close_matches(last, by_last, count, 0.75) for name in by_last[part]),
        *difflib.get_close_matches(key, known, count, 0.85),
    ]
    return list(dict.fromkeys(candidates))[:count]


def unknown_key(key: str, value: str, known: Iterable[str]) -> str:
    """Return the problem of an unknown key, with the nearest known ones and its value."""
    known = list(known)
    near = [f"{name}={value}" if value else name for name in nearest_keys(key, known)]
    given = f"{key}={value}" if value else key
    if not near:
        group = key.rpartition(".")[0]
        inside = [name for name in known if name.rpartition(".")[0] == group and group]
        remedy = f"{group} has {', '.join(inside)}" if inside else "--help lists the keys"
        return f"{given}: there is no key {key}; {remedy}"
    return f"{given}: there is no key {key}; did you mean {' or '.join(near)}?"
