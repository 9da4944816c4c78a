"""Arguments of the command line: groups and recipes, and keys with values; quoting of text for Hydra."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dia.errors import UserError


@dataclass(frozen=True)
class Argument:
    """One `KEY=VALUE`; ``text`` is the argument as it was given."""

    text: str
    key: str
    value: str


def split_arguments(
    arguments: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> tuple[list[Argument], list[Argument]]:
    """Return the arguments that choose groups or recipes, and those that set keys.

    A plus sign before a key is ignored. Raises :class:`UserError` for arguments that are neither.
    """
    choices: list[Argument] = []
    keys: list[Argument] = []
    for text in arguments:
        name, equals, value = text.partition("=")
        key = name.lstrip("+")
        if text in ("-m", "--multirun"):
            raise UserError(
                f"{text} is not supported; a sweep starts each run in its own process and folder: "
                "python -m dia.sweep +recipe=nano 'sweep.space={seed: [0, 1]}' sweep.sampler=grid"
            )
        if not equals or not key or key[0] in "~-":
            option = key.lstrip("-~")
            remedy = f"{option}={value or '...'}" if key.startswith("-") and option else "KEY=VALUE"
            raise UserError(f"{text!r} is not KEY=VALUE; write {remedy}")
        argument = Argument(text if key == "recipe" else f"{key}={value}", key, value)
        chooses = key in groups and not value.lstrip().startswith("{")
        (choices if chooses else keys).append(argument)
    return choices, keys


def several_values(argument: Argument, config_name: str) -> str:
    """Return the problem of several values for a key that takes one, with the command that uses them all."""
    problem = f"{argument.text} has several values, and {argument.key} takes one"
    if not config_name.startswith("train"):
        return f"{problem}; run the command once for each"
    values = argument.value.strip("[]").replace(",", ", ").replace(",  ", ", ")
    return (
        f"{problem}; a sweep trains once for each: python -m dia.sweep ... "
        f"'sweep.space={{{argument.key}: [{values}]}}' sweep.sampler=grid"
    )


def quoted(text: str) -> str:
    """Return a text in the quotes within which Hydra changes nothing."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f'"{escaped}"'
