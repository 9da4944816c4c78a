"""The command ``python -m dia.sweep`` (``dia-sweep``): search hyper-parameters.

Every trial is a training run in its own process. The same command resumes an interrupted sweep.
"""

from collections.abc import Sequence
from types import FrameType

from dia.cli.arguments import refuse_options
from dia.cli.commands import commands_of
from dia.cli.run import run_arguments
from dia.config.aliases import (
    SWEEP_ALIASES,
    TRAIN_ALIASES,
    new_key,
    rename_arguments,
    rename_flat,
    warn_of_old_names,
)
from dia.config.sweep import SweepConfig
from dia.errors import UserError
from dia.home import in_home
from dia.interrupts import signals_handled


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` None takes those of the process."""
    run_arguments("sweep", sweep, arguments)


def sweep(arguments: list[str]) -> None:
    """Run a sweep.

    Raises :class:`UserError` for wrong arguments, and when no trial has a value; ``Interrupted`` after a
    signal to this process or to a trial.
    """
    refuse_options(commands_of("sweep")[""], arguments)
    try:
        from dia.pipelines.sweep import report, search, study
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
    with study.reported(folder):
        opened = study.open_study(config, axes, overrides, folder)
    trials = Trials(folder, overrides, config.metric, config.devices)

    def end_trials(number: int, frame: FrameType | None) -> None:
        trials.end(number)  # each saves; raising here could lose one that is being started

    with signals_handled(end_trials), study.reported(folder):
        search.search(opened, config, axes, trials)
    report.show(opened, config, overrides, folder)


def read_arguments(arguments: list[str]) -> tuple[SweepConfig, list[str]]:
    """Return the keys `sweep.*` as a config, and the other arguments. Raises :class:`UserError`."""
    from dia.config.plain import read_plain

    own = [argument.removeprefix("sweep.") for argument in arguments if argument.startswith("sweep.")]
    config = read_plain(SweepConfig, own, SWEEP_ALIASES, prefix="sweep.")
    warn_of_old_names(
        [key for key in config.space if new_key(key, TRAIN_ALIASES) != key], TRAIN_ALIASES, "sweep.space"
    )
    config.space = rename_flat(config.space)
    others = [argument for argument in arguments if not argument.startswith("sweep.")]
    return config, rename_arguments(others, TRAIN_ALIASES)


if __name__ == "__main__":
    main()
