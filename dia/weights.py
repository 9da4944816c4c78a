"""The command ``python -m dia.weights`` (``dia-weights``): describe, convert and publish checkpoints."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dia.cli.plain import parse_plain
from dia.cli.run import run_arguments
from dia.config.publishing import PushModelConfig
from dia.config.weights import ConsolidateConfig, ConvertConfig, DoctorConfig
from dia.errors import UserError
from dia.home import existing


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` None takes those of the process."""
    run_arguments("weights", run_command, arguments)


def run_command(arguments: Sequence[str]) -> None:
    """Run a command. Raises :class:`UserError` for wrong arguments, and as its parts do."""
    command, config = parse_plain("weights", arguments)
    tasks: dict[str, Callable[[Any], None]] = {
        "doctor": doctor,
        "convert": convert,
        "consolidate": consolidate,
        "push": push,
    }
    tasks[command.word](config)


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

    step = consolidate_run(existing(config.path), Path(config.out), config.codec)
    print(f"wrote {config.out}: step {step} of {config.path}")


def push(config: PushModelConfig) -> None:
    """Publish a checkpoint. Raises ``UserError`` as its parts do."""
    from dia.publishing.push import push_model

    push_model(config)


if __name__ == "__main__":
    main()
