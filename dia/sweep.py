"""The command ``python -m dia.sweep`` (``dia-sweep``): search hyper-parameters, each trial in its own process.

The same command resumes an interrupted sweep.
"""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import cast

from dia.cli.arguments import refuse_options
from dia.cli.commands import commands_of
from dia.cli.run import run_arguments
from dia.config.aliases import SWEEP_ALIASES, rename_arguments
from dia.config.sweep import SweepConfig
from dia.errors import UserError, one_line
from dia.home import in_home


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` None takes those of the process."""
    run_arguments("sweep", sweep, arguments)


def sweep(arguments: list[str]) -> None:
    """Run a sweep. Raises :class:`UserError` for wrong arguments, and when no trial has a value."""
    refuse_options(commands_of("sweep")[""], arguments)
    try:
        from dia.pipelines.sweep import report, study
        from dia.pipelines.sweep.trial import Trials
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise UserError("a sweep needs optuna; install it: pip install 'dia-framework[sweep]'") from error
    config, overrides = read_arguments(arguments)
    axes, trainings = report.require_sound(config, overrides)
    if len(config.devices) > 1:
        report.prepare_once(trainings)
    folder = in_home(config.folder).absolute() / config.name
    opened = study.open_study(config, axes, overrides, folder)
    trials = Trials(folder, overrides, config.metric, config.devices)

    with ended_by_signals(trials.end):
        study.search(opened, config, axes, trials)
    report.show(opened, config, overrides, folder)


@contextmanager
def ended_by_signals(end: Callable[[], None]) -> Iterator[None]:
    """Call ``end`` before SIGTERM or Ctrl-C ends this process, because its child processes would outlive it."""

    def leave(number: int, frame: FrameType | None) -> None:
        end()
        sys.exit(128 + number)

    usual = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def read_arguments(arguments: list[str]) -> tuple[SweepConfig, list[str]]:
    """Return the keys `sweep.*` as a config, and the other arguments. Raises :class:`UserError` for unknown keys."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    own = [argument.removeprefix("sweep.") for argument in arguments if argument.startswith("sweep.")]
    own = rename_arguments(own, SWEEP_ALIASES)
    try:
        read = OmegaConf.merge(OmegaConf.structured(SweepConfig), OmegaConf.from_dotlist(own))
        config = cast(SweepConfig, OmegaConf.to_object(read))
    except OmegaConfBaseException as error:
        raise UserError(f"the keys sweep.* cannot be read: {one_line(error)}") from error
    return config, [argument for argument in arguments if not argument.startswith("sweep.")]


if __name__ == "__main__":
    main()
