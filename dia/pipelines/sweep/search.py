"""The search of a sweep: its trials, as many at a time as there are devices."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import optuna
from optuna.trial import TrialState

from dia.config.choices import MonitorMode, TrialValue
from dia.config.sweep import SweepConfig
from dia.pipelines.sweep.space import Axis
from dia.pipelines.sweep.study import outcomes, run_of, wanted
from dia.pipelines.sweep.trial import TrialFailed, Trials

logger = logging.getLogger(__name__)


def search(study: optuna.Study, config: SweepConfig, axes: list[Axis], trials: Trials) -> None:
    """Run trials until the study has the configured number; those of an interrupted sweep resume first.

    A trial that fails counts, and the others go on. Raises as :meth:`Trials.require_ended` and
    :meth:`Trials.run` do; a trial that was interrupted stays unfinished in the study.
    """
    for interrupted in study.get_trials(states=(TrialState.RUNNING,)):
        name = run_of(interrupted)
        trials.require_ended(name)
        study.tell(interrupted.number, state=TrialState.FAIL)
        study.enqueue_trial(interrupted.params, user_attrs={"run": name})
    started = _Search(study, config, axes, trials, _missing(study, config, axes))
    jobs = len(config.devices) or 1
    with ThreadPoolExecutor(jobs) as executor:
        workers = [executor.submit(started.run_trials) for _ in range(jobs)]
    for worker in workers:
        worker.result()


def _missing(study: optuna.Study, config: SweepConfig, axes: list[Axis]) -> int:
    """Return the number of trials that a sweep has still to run, with those that wait to be resumed."""
    waiting = study.get_trials(states=(TrialState.WAITING,))
    resumed = sum("run" in trial.user_attrs for trial in waiting)
    return wanted(config, axes) - len(outcomes(study)) + resumed


@dataclass
class _Search:
    """Trials that several threads take one after another; ``missing`` is how many are not yet taken."""

    study: optuna.Study
    config: SweepConfig
    axes: list[Axis]
    trials: Trials
    missing: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run_trials(self) -> None:
        """Run one trial after another until none is missing, or until one raises an error."""
        try:
            while trial := self._next():
                self._run(trial)
        except BaseException:
            self.missing = 0  # the other threads end after their current trial
            raise

    def _next(self) -> optuna.Trial | None:
        """Return the next trial, None when none is missing.

        The lock is necessary: on SQLite, which has no locks of rows, Optuna gives two threads that ask at the
        same time the same queued trial.
        """
        with self.lock:
            if self.missing <= 0:
                return None
            self.missing -= 1
            return self.study.ask()

    def _run(self, trial: optuna.Trial) -> None:
        try:
            value = self._value(trial)
        except TrialFailed as failure:
            logger.warning("%s failed: %s", run_of(trial), failure)
            trial.set_user_attr("failure", str(failure))
            self.study.tell(trial, state=TrialState.FAIL)
        except Exception:
            self.study.tell(trial, state=TrialState.FAIL)
            raise
        else:
            state = TrialState.PRUNED if value is None else TrialState.COMPLETE
            self.study.tell(trial, value, state)

    def _value(self, trial: optuna.Trial) -> float | None:
        """Run a trial and return its value, None when it was pruned."""
        chosen = [f"{axis.key}={axis.suggest(trial)}" for axis in self.axes]
        name = run_of(trial)
        trial.set_user_attr("run", name)
        pruned, seen = False, 0

        def report_and_prune(metrics: list[tuple[int, float]]) -> bool:
            nonlocal pruned, seen
            for step, value in metrics[seen:]:
                trial.report(value, step)
            pruned = self.config.prune and len(metrics) > seen and trial.should_prune()
            seen = len(metrics)
            return pruned

        metrics = self.trials.run(name, chosen, report_and_prune)
        return None if pruned else taken([value for _, value in metrics], self.config)


def taken(values: list[float], config: SweepConfig) -> float:
    """Return the value of a trial: the last or the best of its logged metrics."""
    if config.select is TrialValue.last:
        return values[-1]
    return min(values) if config.mode is MonitorMode.min else max(values)
