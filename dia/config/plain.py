"""Configurations without groups: a dataclass whose keys are set by `KEY=VALUE` alone."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from dia.config.aliases import rename_arguments
from dia.config.checks import bullet_list
from dia.config.keys import key_types, unknown_key
from dia.config.values import read_value
from dia.errors import UserError

Schema = TypeVar("Schema")


def read_plain(
    schema: type[Schema], arguments: Sequence[str], aliases: Mapping[str, str], prefix: str = ""
) -> Schema:
    """Return the dataclass with the values of arguments; ``prefix`` stands before each key in messages.

    Raises :class:`UserError` with every unknown key, the nearest ones, and every wrong value.
    """
    types, values, problems = key_types(cast(type, schema)), dict[str, Any](), list[str]()
    for argument in rename_arguments(arguments, aliases):
        key, _, text = argument.partition("=")
        if key not in types:
            problems.append(unknown_key(f"{prefix}{key}", text, [f"{prefix}{name}" for name in types]))
            continue
        try:
            values[key] = read_value(f"{prefix}{key}", text, types[key])
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise UserError(bullet_list("the arguments have problems:", problems))
    return schema(**values)
