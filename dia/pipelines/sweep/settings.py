"""What a sweep searches, and how."""

from dataclasses import dataclass, field
from typing import Any

from dia.config.training import unknown

SAMPLERS = ("tpe", "random", "grid")
USUAL_TRIALS = 20
SET_BY_SWEEP = ("run_name", "runs", "resume")  # keys of training that the sweep gives each trial


@dataclass
class SweepConfig:
    """The keys `sweep.*` of `python -m dia.sweep`; all other keys are those of every trial's training."""

    name: str = "sweep"
    folder: str = "sweeps"
    """Folder that sweeps lie in, relative to the working directory; a sweep's own holds its study and its
    runs.
    """
    trials: int = 0
    """Trials in all, failed ones among them; a sweep that is started again makes those that are missing. 0:
    all of a grid, else 20."""
    space: dict[str, Any] = field(default_factory=dict)
    """By key of the training config: a list of choices, or {low: ., high: ., log: true|false, step: .}."""
    figure: str = "validation/loss"
    """The logged figure that is searched for."""
    goal: str = "min"
    """`min` or `max`."""
    take: str = "last"
    """A trial's value: `last` or `best` of its figures."""
    sampler: str = "tpe"
    """`tpe` (learns from what was tried), `random` or `grid` (every combination of lists)."""
    seed: int = 0
    prune: bool = False
    """End a trial that stands worse than the median of the others at the same step."""
    devices: list[int] = field(default_factory=list)
    """GPUs, each with a trial of its own at a time; empty: one trial at a time, wherever training runs."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = unknown(
            ("sweep.goal", self.goal, ("min", "max")), ("sweep.take", self.take, ("last", "best")),
            ("sweep.sampler", self.sampler, SAMPLERS),
        )  # fmt: skip
        if self.trials < 0:
            found.append(f"sweep.trials={self.trials} must be 0 (all of a grid, else {USUAL_TRIALS}) or more")
        if not self.name or "/" in self.name:
            found.append(f"sweep.name={self.name!r} must be a plain folder name")
        if not self.space:
            found.append(
                "sweep.space is empty; write sweep.space={optim.learning_rate: {low: 1e-4, high: 1e-2, log: true}}"
            )
        return found
