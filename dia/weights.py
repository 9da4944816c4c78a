"""The command ``python -m dia.weights`` (``dia-weights``): describe, convert and consolidate checkpoints."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from dia.cli.arguments import choose_command, is_word, refuse_options
from dia.cli.commands import Command
from dia.cli.help import nearest
from dia.cli.run import run_arguments
from dia.config.checks import bullet_list
from dia.config.weights import ConsolidateConfig, ConvertConfig, DoctorConfig
from dia.errors import UserError
from dia.home import existing


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` None takes those of the process."""
    run_arguments("weights", run_command, arguments)


def run_command(arguments: Sequence[str]) -> None:
    """Run a command. Raises :class:`UserError` for wrong arguments, and as its parts do."""
    command, config = parse(arguments)
    tasks: dict[str, Callable[[Any], None]] = {
        "doctor": doctor,
        "convert": convert,
        "consolidate": consolidate,
    }
    tasks[command.word](config)


def parse(arguments: Sequence[str]) -> tuple[Command, Any]:
    """Return the command and its configuration. Raises :class:`UserError` with everything that is wrong."""
    command, rest = choose_command("weights", arguments)
    refuse_options(command, rest)
    schema = command.load_schema()
    known = [field.name for field in fields(schema)]
    words = [argument for argument in rest if is_word(argument)]
    values = dict(argument.split("=", 1) for argument in rest if not is_word(argument))
    problems = [f"{word!r} is no KEY=VALUE" for word in words[1:]]
    problems += [
        f"{key} is unknown{nearest(key, known)}; there are: {', '.join(known)}"
        for key in values
        if key not in known
    ]
    config = schema(**{key: value for key, value in values.items() if key in known})
    if words:
        config.path = words[0]
    problems += config.problems()
    if problems:
        raise UserError(bullet_list(f"{command.name} cannot run:", problems))
    return command, config


def doctor(config: DoctorConfig) -> None:
    """Print what a checkpoint contains and, with a recording, which ``cross_rope`` fits it."""
    from dia.checkpoint import read_source
    from dia.checkpoint.doctor import describe
    from dia.checkpoint.locate import resolve_checkpoint
    from dia.pipelines.probe_checkpoint import probe_checkpoint

    source = read_source(str(resolve_checkpoint(config.path)))
    print("\n".join(describe(source)))
    if config.audio:
        print("\n".join(probe_checkpoint(source, config.audio, config.text, config.codec or None)))


def convert(config: ConvertConfig) -> None:
    """Write a checkpoint in another layout. Raises ``UserError`` when the folder exists."""
    if Path(config.out).exists():
        raise UserError(f"out={config.out} exists; name a folder that does not exist")
    from dia.checkpoint import convert as convert_source
    from dia.checkpoint import read_source
    from dia.checkpoint.locate import resolve_checkpoint

    convert_source(read_source(str(resolve_checkpoint(config.path))), config.to, Path(config.out))
    print(f"wrote {config.out} in the layout of {config.to}")


def consolidate(config: ConsolidateConfig) -> None:
    """Write the newest checkpoint of a run as a model. Raises ``UserError`` as its parts do."""
    from dia.pipelines.consolidate import consolidate as consolidate_run

    step = consolidate_run(existing(config.path), Path(config.out))
    print(f"wrote {config.out}: step {step} of {config.path}")


if __name__ == "__main__":
    main()
