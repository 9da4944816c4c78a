"""Command lines of doors without presets: `COMMAND WORD KEY=VALUE ...` fills a dataclass, without Hydra."""

from collections.abc import Sequence
from typing import Any

from dia.cli.arguments import choose_command, is_word, read_script, refuse_options
from dia.cli.command import Command
from dia.cli.help import nearest
from dia.config.checks import bullet_list
from dia.config.keys import key_types
from dia.errors import UserError


def parse_plain(door: str, arguments: Sequence[str]) -> tuple[Command, Any]:
    """Return the command and its configuration, whose class has a method ``problems``.

    The script that ``text=@FILE`` or ``text=-`` names is read.

    Raises:
        UserError: With everything that is wrong.
    """
    command, rest = choose_command(door, arguments)
    refuse_options(command, rest)
    schema = command.load_schema()
    types = key_types(schema)
    words = [argument for argument in rest if is_word(argument)]
    pairs = [argument for argument in rest if not is_word(argument)]
    values = dict(argument.split("=", 1) for argument in read_script(pairs))
    problems = [f"{word!r} is no KEY=VALUE" for word in words[1:]]
    problems += [
        f"{key} is unknown{nearest(key, list(types))}; there are: {', '.join(types)}"
        for key in values
        if key not in types
    ]
    config = schema()
    if words:
        setattr(config, command.positional, words[0])
    for key, text in values.items():
        if key in types:
            try:
                setattr(config, key, _value(key, text, types[key]))
            except ValueError as error:
                problems.append(str(error))
    problems += config.problems()
    if problems:
        raise UserError(bullet_list(f"{command.name} cannot run:", problems))
    return command, config


def _value(key: str, text: str, kind: Any) -> Any:
    if kind is str:
        return text
    from dia.config.values import read_value  # imports Hydra

    return read_value(key, text, kind)
