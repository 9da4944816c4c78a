"""Arguments of a command line: the chosen command, plain words, unknown options, and scripts from files."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from dia.cli.command import Command, program
from dia.cli.commands import commands_of
from dia.cli.help import composes_training, group_choices, groups, nearest
from dia.config.command_line import quoted
from dia.config.hub import parse_hub_path
from dia.errors import UserError
from dia.home import existing, in_home
from dia.resources import SHIPPED_CHECKPOINTS

OVERRIDE = re.compile(r"~|[+~]*[A-Za-z_][\w./@-]*=")  # how Hydra writes a changed, added or removed key
MULTIRUN = ("-m", "--multirun")


def choose_command(door: str, arguments: Sequence[str]) -> tuple[Command, list[str]]:
    """Return the command that the first word names, or the main one, and the other arguments.

    Raises:
        UserError: For a word that is no command, with the nearest ones.
    """
    known = commands_of(door)
    first = arguments[0] if arguments else ""
    if first and first in known:
        return known[first], list(arguments[1:])
    words = sorted(filter(None, known))
    if "" not in known:
        what = f"there is no command {first!r}{nearest(first, words)}" if first else "name a command"
        listed = "\n".join(f"  {command.name}  {command.summary}" for command in known.values())
        raise UserError(f"{what}; there are:\n{listed}")
    command = known[""]
    if is_word(first) and not command.positional:
        raise UserError(_no_such_word(command, first, words))
    if is_word(first) and command.positional == "ckpt":
        _require_checkpoint(first, words)
    return command, list(arguments)


def is_word(argument: str) -> bool:
    """Return whether an argument is neither an option nor a changed key; a lone dash is standard input."""
    if not argument or (argument.startswith("-") and argument != "-"):
        return False
    return not OVERRIDE.match(argument) or ("=" in argument and os.path.exists(argument))  # of any length


def name_words(command: Command, arguments: Sequence[str]) -> list[str]:
    """Return arguments whose plain words have become the key that the command takes them for.

    Raises:
        UserError: For options, and for words that the command does not take.
    """
    refuse_options(command, arguments)
    words = [argument for argument in arguments if is_word(argument)]
    overrides = [argument for argument in arguments if argument and not is_word(argument)]
    if not words:
        return overrides
    if not command.positional:
        raise UserError(_no_such_word(command, words[0], []))
    if command.positional in ("folders", "files"):
        return [*overrides, f"{command.positional}=[{','.join(map(quoted, words))}]"]
    if command.positional == "text":
        return [f"text={' '.join(words)}", *overrides]
    if len(words) > 1:
        raise UserError(
            f"{command.name} takes one {command.positional}, not {len(words)}: {', '.join(words)}"
        )
    return [f"{command.positional}={quoted(words[0])}", *overrides]


def refuse_options(command: Command, arguments: Sequence[str]) -> None:
    """Raise :class:`UserError` for every argument that begins with a dash, with the key that may be meant."""
    problems = []
    for argument in arguments:
        if argument in MULTIRUN:
            problems.append(
                f"{argument} is not supported; a sweep starts each run in its own process and folder: "
                f"{program('sweep')} +recipe=nano 'sweep.space={{seed: [0, 1]}}' sweep.sampler=grid"
            )
        elif argument.startswith("-") and argument != "-":
            problems.append(
                f"{argument} is no option; keys are written KEY=VALUE{_near_key(command, argument)}"
            )
    if problems:
        raise UserError("\n".join(problems))


def read_script(arguments: Sequence[str]) -> list[str]:
    """Return arguments with the scripts that ``text=-`` and ``text=@FILE`` name, and with ``seeds=[...]``.

    Raises:
        UserError: For a file that cannot be read.
    """
    return [split_seeds(_script(argument)) for argument in arguments]


def _script(argument: str) -> str:
    key, _, value = argument.partition("=")
    if key != "text" or not (value == "-" or value.startswith("@")):
        return argument
    try:
        script = sys.stdin.read() if value == "-" else Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"text={value} cannot be read ({error}); name a UTF-8 text file after the @"
        ) from error
    if not script.strip():
        raise UserError(f"text={value} is empty; write a script such as [S1] Hello there. [S2] Hello!")
    return f"text={' '.join(script.split())}"


def split_seeds(argument: str) -> str:
    """Return ``seed=0,1,2`` as ``seeds=[0,1,2]``, others unchanged. Raises :class:`UserError`."""
    key, _, value = argument.partition("=")
    if key != "seed" or not re.search(r"[,\[]", value):
        return argument
    seeds = [seed.strip() for seed in value.strip("[]").split(",") if seed.strip()]
    if wrong := [seed for seed in seeds if not re.fullmatch(r"\d+", seed)]:
        raise UserError(f"seed={value}: {', '.join(wrong)} is no whole number; write seed=0,1,2")
    return f"seeds=[{','.join(dict.fromkeys(seeds))}]"


def _near_key(command: Command, option: str) -> str:
    name, _, value = option.lstrip("-").partition("=")
    keys = [key.name for group in groups(command, with_defaults=False) for key in group.keys]
    if name in keys:
        return f": {name}={value or '...'}"
    return nearest(name, keys) or f"; {command.name} --help lists them"


def _no_such_word(command: Command, word: str, words: list[str]) -> str:
    if composes_training(command) and word in group_choices("recipe"):
        return f"{word!r} is no KEY=VALUE; a recipe is chosen with +recipe={word}"
    if words:
        listed = f"; there are: {', '.join(words)}, or none, followed by KEY=VALUE"
        return f"there is no command {word!r}{nearest(word, words)}{listed}"
    keys = [key.name for group in groups(command, with_defaults=False) for key in group.keys]
    return f"{word!r} is no KEY=VALUE{nearest(word, keys)}; {command.name} --help lists the keys"


def _require_checkpoint(name: str, words: list[str]) -> None:
    """Raise :class:`UserError` for a word that is neither a command nor possibly a checkpoint."""
    if name in SHIPPED_CHECKPOINTS or existing(name).exists() or parse_hub_path(name):
        return
    raise UserError(
        f"there is no command and no checkpoint {name!r}{nearest(name, [*words, *checkpoints()])}\n"
        f"commands; there are: {', '.join(words)}\n"
        f"checkpoints; there are: {', '.join(checkpoints())}; or give a path or a Hub id"
    )


def checkpoints() -> list[str]:
    """Return the shipped checkpoints and the runs in the folder `runs` that hold a model."""
    runs = in_home("runs")
    models = sorted(runs.glob("*/model"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [*SHIPPED_CHECKPOINTS, *(f"runs/{path.parent.name}" for path in models)]
