"""The Optuna study of a sweep, stored in its folder so that the same command resumes it.

sweeps/<name>/study.db          Optuna's record of all trials
              trial-0003/       the run of a trial, as any other
              trial-0003.log    its output
"""

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import OperationalError

from dia.config.aliases import TRAIN_ALIASES, rename_arguments, rename_flat
from dia.config.choices import MonitorMode, SearchSampler
from dia.config.sweep import DEFAULT_TRIALS, SweepConfig
from dia.errors import StorageError, UserError, one_line
from dia.files import make_folder
from dia.pipelines.sweep.space import Axis

ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
STUDY = "study.db"
SAMPLERS: dict[str, Callable[[int, list[Axis]], optuna.samplers.BaseSampler]] = {
    "tpe": lambda seed, axes: optuna.samplers.TPESampler(seed=seed),
    "random": lambda seed, axes: optuna.samplers.RandomSampler(seed=seed),
    # its trials wait in the queue; Optuna's sampler of grids does not resume interrupted trials
    "grid": lambda seed, axes: optuna.samplers.RandomSampler(seed=seed),
}


def open_study(config: SweepConfig, axes: list[Axis], overrides: list[str], folder: Path) -> optuna.Study:
    """Create or load the study in a sweep's folder.

    Raises :class:`UserError` when the stored study has other settings, or when it cannot be written.
    """
    make_folder(folder)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / STUDY}",
        study_name=config.name,
        load_if_exists=True,
        direction="minimize" if config.mode is MonitorMode.min else "maximize",
        sampler=SAMPLERS[config.sampler](config.seed, axes),
        pruner=optuna.pruners.MedianPruner() if config.prune else optuna.pruners.NopPruner(),
    )
    request = {
        "space": config.space,
        "figure": config.metric,
        "goal": config.mode,
        "take": config.select,
        "overrides": overrides,
    }
    current = json.dumps(request, sort_keys=True)
    if not same_request(study.user_attrs.get("request", current), current):
        raise UserError(
            f"{folder} holds a sweep with other settings; choose another sweep.name, "
            "or repeat the same command to resume it"
        )
    study.set_user_attr("request", current)
    if config.sampler is SearchSampler.grid:
        _enqueue_grid(study, axes, config.seed)
    return study


@contextmanager
def reported(folder: Path) -> Iterator[None]:
    """Raise :class:`StorageError` when the block cannot write the study of a sweep's folder."""
    try:
        yield
    except (StorageInternalError, OperationalError) as error:
        reason = one_line(error.__cause__ if isinstance(error.__cause__, Exception) else error, 200)
        raise StorageError(
            f"{folder / STUDY} cannot be written ({reason}); free space or change its permissions, and run "
            "the same command again"
        ) from error


def same_request(stored: str, current: str) -> bool:
    """Return whether two requests of a sweep are equal; the stored one may have older keys."""
    before, now = ({**json.loads(text)} for text in (stored, current))
    for request in (before, now):
        request["overrides"] = rename_arguments(request["overrides"], TRAIN_ALIASES)
        request["space"] = rename_flat(request["space"])
    return before == now


def _enqueue_grid(study: optuna.Study, axes: list[Axis], seed: int) -> None:
    """Queue all combinations of a grid that the study does not have, in random order."""
    combinations = list(itertools.product(*(axis.examples for axis in axes)))
    random.Random(seed).shuffle(combinations)
    for values in combinations:
        chosen = {axis.key: value for axis, value in zip(axes, values, strict=True)}
        study.enqueue_trial(chosen, skip_if_exists=True)


def wanted(config: SweepConfig, axes: list[Axis]) -> int:
    """Return the total number of trials of a sweep."""
    grid_size = math.prod(len(axis.examples) for axis in axes)
    return config.trials or (grid_size if config.sampler is SearchSampler.grid else DEFAULT_TRIALS)


def outcomes(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that have ended, one for each run; a resumed trial replaces its interrupted part."""
    last: dict[str, FrozenTrial] = {
        run_of(trial): trial for trial in study.get_trials() if trial.state in ENDED
    }
    return list(last.values())


def run_of(trial: FrozenTrial | optuna.Trial) -> str:
    """Return the name of a trial's run."""
    return str(trial.user_attrs.get("run", f"trial-{trial.number:04d}"))
