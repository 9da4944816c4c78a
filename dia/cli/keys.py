"""Keys of a configuration class: meaning, type, choices and default, from dataclasses and docstrings."""

import ast
import inspect
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

NAMES = {str: "text", int: "integer", float: "number", bool: "true or false", Any: "any value"}


@dataclass(frozen=True)
class Key:
    """One key by its dotted name. ``default`` is the default as it is written on the command line."""

    name: str
    meaning: str
    kind: str
    choices: tuple[str, ...]
    default: str


@dataclass(frozen=True)
class Group:
    """A nested dataclass by its dotted name, with the keys directly in it."""

    name: str
    meaning: str
    keys: tuple[Key, ...]


def groups_of(schema: type, defaults: Mapping[str, Any] | None = None, prefix: str = "") -> list[Group]:
    """Return the groups of a configuration class in order; the first holds the keys at its top.

    ``defaults`` are nested values that replace the class's own defaults.
    """
    return list(_groups(schema, prefix, schema.__doc__ or "", _instance(schema), defaults or {}))


def _groups(
    schema: type, prefix: str, meaning: str, instance: Any, defaults: Mapping[str, Any]
) -> Iterator[Group]:
    kinds, meanings = typing.get_type_hints(schema), field_docstrings(schema)
    keys, nested = [], []
    for field in fields(schema):
        kind, own = kinds[field.name], getattr(instance, field.name, None)
        name, given = f"{prefix}{field.name}", defaults.get(field.name)
        if is_dataclass(kind) and isinstance(kind, type):
            text = meanings.get(field.name) or kind.__doc__ or ""
            deeper = given if isinstance(given, Mapping) else {}
            nested.append((kind, f"{name}.", text, own if own is not None else _instance(kind), deeper))
        else:
            value = given if field.name in defaults else own
            keys.append(Key(name, _line(meanings.get(field.name, "")), *_kind(kind), written(value)))
    yield Group(prefix.removesuffix("."), _line(meaning), tuple(keys))
    for item in nested:
        yield from _groups(*item)


def _instance(schema: type) -> Any:
    """Return an instance with the defaults, or the class itself when some fields have none."""
    for field in fields(schema):
        if field.init and field.default is MISSING and field.default_factory is MISSING:
            return schema
    return schema()


def _kind(kind: Any) -> tuple[str, tuple[str, ...]]:
    """Return the name of a type, and the values of an enumeration."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        name, choices = _kind(next(item for item in inner if item is not types.NoneType))
        return f"{name}, or null", (*choices, "null") if choices else ()
    if origin is list:
        return f"list of {_kind(inner[0])[0]}", ()
    if origin is dict:
        return f"mapping of {_kind(inner[0])[0]} to {_kind(inner[1])[0]}", ()
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "choice", tuple(str(member.value) for member in kind)
    return NAMES.get(kind, getattr(kind, "__name__", str(kind))), ("true", "false") if kind is bool else ()


def written(value: Any) -> str:
    """Return a value as it is written on the command line."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(written, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _line(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


@cache
def field_docstrings(schema: type) -> dict[str, str]:
    """Return the string below each field of a dataclass and of the classes that it inherits from."""
    meanings: dict[str, str] = {}
    for base in reversed(schema.__mro__):
        if is_dataclass(base):
            meanings |= _module_docstrings(base.__module__).get(base.__name__, {})
    return meanings


@cache
def _module_docstrings(module: str) -> dict[str, dict[str, str]]:
    """Return, for each class of a module, the string that follows each annotated name."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {
        node.name: {
            field.target.id: text.value.value
            for field, text in zip(node.body, node.body[1:], strict=False)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        }
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
