"""The Optuna study of a sweep, stored in its folder so that the same command resumes it.

sweeps/<name>/study.db          Optuna's record of all trials
              trial-0003/       the run of a trial, as any other
              trial-0003.log    its output
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from dia.config.aliases import TRAIN_ALIASES, rename_arguments, rename_flat
from dia.config.choices import MonitorMode, SearchSampler, TrialValue
from dia.config.sweep import DEFAULT_TRIALS, SweepConfig
from dia.errors import UserError
from dia.pipelines.sweep.space import Axis, Choices
from dia.pipelines.sweep.trial import TrialFailed, Trials

ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
STUDY = "study.db"
SAMPLERS: dict[str, Callable[[int, list[Axis]], optuna.samplers.BaseSampler]] = {
    "tpe": lambda seed, axes: optuna.samplers.TPESampler(seed=seed),
    "random": lambda seed, axes: optuna.samplers.RandomSampler(seed=seed),
    "grid": lambda seed, axes: optuna.samplers.GridSampler(
        {axis.key: axis.literals for axis in axes if isinstance(axis, Choices)}, seed=seed
    ),
}


def open_study(config: SweepConfig, axes: list[Axis], overrides: list[str], folder: Path) -> optuna.Study:
    """Create or load the study in a sweep's folder.

    Raises :class:`UserError` when the stored study has other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
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
    return study


def same_request(stored: str, current: str) -> bool:
    """Return whether two requests of a sweep are equal; the stored one may have older keys."""
    before, now = ({**json.loads(text)} for text in (stored, current))
    for request in (before, now):
        request["overrides"] = rename_arguments(request["overrides"], TRAIN_ALIASES)
        request["space"] = rename_flat(request["space"])
    return before == now


def search(study: optuna.Study, config: SweepConfig, axes: list[Axis], trials: Trials) -> None:
    """Run trials until the study has the configured number. Raises as :meth:`Trials.require_ended` does."""
    for interrupted in study.get_trials(states=(TrialState.RUNNING,)):
        name = run_of(interrupted)
        trials.require_ended(name)
        study.tell(interrupted.number, state=TrialState.FAIL)
        study.enqueue_trial(interrupted.params, user_attrs={"run": name})
    missing = (
        wanted(config, axes) - len(outcomes(study)) + len(study.get_trials(states=(TrialState.WAITING,)))
    )
    if missing > 0:
        objective = _objective(config, axes, trials)
        study.optimize(objective, n_trials=missing, n_jobs=len(config.devices) or 1, catch=(TrialFailed,))


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


def _objective(config: SweepConfig, axes: list[Axis], trials: Trials) -> Callable[[optuna.Trial], float]:
    """Return the function that Optuna calls for each trial."""

    def run_trial(trial: optuna.Trial) -> float:
        chosen = [f"{axis.key}={axis.suggest(trial)}" for axis in axes]
        name = run_of(trial)
        trial.set_user_attr("run", name)
        pruned, seen = False, 0

        def report_and_prune(metrics: list[tuple[int, float]]) -> bool:
            nonlocal pruned, seen
            for step, value in metrics[seen:]:
                trial.report(value, step)
            pruned = config.prune and len(metrics) > seen and trial.should_prune()
            seen = len(metrics)
            return pruned

        try:
            metrics = trials.run(name, chosen, report_and_prune)
        except TrialFailed as failure:
            trial.set_user_attr("failure", str(failure))
            raise
        if pruned:
            raise optuna.TrialPruned
        return taken([value for _, value in metrics], config)

    return run_trial


def taken(values: list[float], config: SweepConfig) -> float:
    """Return the value of a trial: the last or the best of its logged metrics."""
    best: Callable[[list[float]], Any] = min if config.mode is MonitorMode.min else max
    return values[-1] if config.select is TrialValue.last else float(best(values))
