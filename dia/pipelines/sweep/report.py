"""What a sweep is checked for before it begins, and what it says at its end."""

import csv
import io
import itertools
import shlex
from pathlib import Path
from typing import cast

import optuna
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table

from dia.codecs.registry import load_codec
from dia.config.choices import MonitorMode, SearchSampler
from dia.config.compose import compose, typed
from dia.config.sweep import SET_BY_SWEEP, SweepConfig
from dia.config.train import DataRunConfig, RunConfig
from dia.data.prepare import prepare
from dia.errors import UserError, one_line
from dia.files import write_text
from dia.pipelines.check_config import complete, validate
from dia.pipelines.sweep.space import Axis, literal, read_space
from dia.pipelines.sweep.study import outcomes, run_of

SHOWN = 10  # trials in the table
RESULTS = "results.csv"


def require_sound(config: SweepConfig, overrides: list[str]) -> tuple[list[Axis], list[RunConfig]]:
    """Return the axes of a sweep that can be run, and trainings in which every listed value occurs.

    Raises :class:`UserError` with everything that is wrong, these trainings included.
    """
    axes, problems = read_space(config.space, config.sampler is SearchSampler.grid)
    problems = config.problems() + problems
    given = {override.lstrip("+").partition("=")[0] for override in overrides}
    if twice := sorted(given & {axis.key for axis in axes}):
        problems.append(f"{', '.join(twice)} is searched and given; leave out one of them")
    if taken := sorted((given | {axis.key for axis in axes}) & set(SET_BY_SWEEP)):
        problems.append(
            f"{', '.join(taken)} is set by the sweep; leave it out (sweep.name and sweep.folder choose where "
            "the runs are)"
        )
    trainings: list[RunConfig] = []
    for values in _checked_values(axes):
        try:
            trainings.append(complete(typed(compose("train", [*overrides, *values]))))
            validate(trainings[-1])
        except (HydraException, OmegaConfBaseException, UserError) as error:
            problems.append(one_line(error))
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in dict.fromkeys(problems))
        raise UserError(f"the sweep has problems:\n{listed}")
    return axes, trainings


def prepare_once(trainings: list[RunConfig]) -> None:
    """Make the data sets of trainings that will run side by side: two of them would make the same one at
    once.
    """
    for training in trainings:
        if not isinstance(training, DataRunConfig):
            continue
        codec = load_codec(training.codec_name) if training.codec_name else None
        prepare(training.data, codec, training.engine)


def show(
    study: optuna.Study,
    config: SweepConfig,
    overrides: list[str],
    folder: Path,
    console: Console | None = None,
) -> None:
    """Print the best trials, what failed and the command of the best; write all trials to `results.csv`.

    Raises :class:`UserError` when no trial gave a figure.
    """
    console = console or Console()
    ended = outcomes(study)
    done = sorted(
        _in(ended, TrialState.COMPLETE),
        key=lambda trial: cast(float, trial.value),
        reverse=config.mode is MonitorMode.max,
    )
    failed = _in(ended, TrialState.FAIL)
    write_text(folder / RESULTS, _as_csv(ended, list(config.space)))
    reasons = "".join(
        f"\n  - {run_of(trial)}: {trial.user_attrs.get('failure', 'unknown')}" for trial in failed[:SHOWN]
    )
    if not done:
        raise UserError(f"none of {len(ended)} trials gave {config.metric}:{reasons}")
    table = Table("run", config.metric, *config.space, title=f"{config.name}: the best of {len(done)} trials")
    for trial in done[:SHOWN]:
        table.add_row(
            run_of(trial), f"{trial.value:.4f}", *(_written(trial.params[key]) for key in config.space)
        )
    console.print(table)
    console.print(f"{len(_in(ended, TrialState.PRUNED))} pruned, {len(failed)} failed{reasons}", markup=False)
    best = [f"{key}={_written(value)}" for key, value in done[0].params.items()]
    console.print(
        "train the best anew: " + shlex.join(["python", "-m", "dia.train", *overrides, *best]), markup=False
    )
    console.print(f"all trials: {folder / RESULTS}", markup=False)


def _checked_values(axes: list[Axis]) -> list[list[str]]:
    """Overrides that hold every value of every axis at least once, the shorter axes repeating."""
    longest = max((len(axis.examples) for axis in axes), default=0)
    cycles = [itertools.cycle(f"{axis.key}={example}" for example in axis.examples) for axis in axes]
    return [[next(cycle) for cycle in cycles] for _ in range(longest)] or [[]]


def _in(trials: list[FrozenTrial], state: TrialState) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state == state]


def _written(value: object) -> str:
    """A parameter as it was given to the run: choices are stored as literals already."""
    return value if isinstance(value, str) else literal(value)


def _as_csv(trials: list[FrozenTrial], keys: list[str]) -> str:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["run", "state", "value", *keys])
    for trial in trials:
        value = "" if trial.value is None else trial.value
        rows.writerow(
            [
                run_of(trial),
                trial.state.name.lower(),
                value,
                *(_written(trial.params.get(key, "")) for key in keys),
            ]
        )
    return text.getvalue()
