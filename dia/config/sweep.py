"""Keys of `python -m dia.sweep`."""

from dataclasses import dataclass, field
from typing import Any

from dia.config.checks import below
from dia.config.choices import MonitorMode, SearchSampler, TrialValue, coerce_choices

DEFAULT_TRIALS = 20
SET_BY_SWEEP = ("run_name", "runs", "resume")  # training keys that the sweep sets for each trial


@dataclass
class SweepConfig:
    """The keys `sweep.*` of `python -m dia.sweep`; all other keys are those of every trial's training."""

    name: str = "sweep"
    """Name of the sweep and of its folder."""
    folder: str = "sweeps"
    """Folder of sweeps, relative to the working directory. A sweep's folder holds its study and its runs."""
    trials: int = 0
    """Number of trials, failed ones included; 0 is all combinations of a grid, else 20. A resumed sweep runs
    the missing ones."""
    space: dict[str, Any] = field(default_factory=dict)
    """Search space by training key: a list of choices, or {low: ., high: ., log: true|false, step: .}."""
    metric: str = "validation/loss"
    """The logged metric that is optimized."""
    mode: MonitorMode = MonitorMode.min
    """Whether lower (`min`) or higher (`max`) values are better."""
    select: TrialValue = TrialValue.last
    """Which logged value is a trial's result: the `last` or the `best`."""
    sampler: SearchSampler = SearchSampler.tpe
    """`tpe` (learns from earlier trials), `random` or `grid` (every combination of lists)."""
    seed: int = 0
    """Seed of the sampler."""
    prune: bool = False
    """Stop a trial whose metric is worse than the median of the other trials at the same step."""
    devices: list[int] = field(default_factory=list)
    """GPUs that run one trial each at a time; empty runs one trial at a time on the default device."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = below(0, [("sweep.trials", self.trials)])
        if not self.name or "/" in self.name:
            problems.append(f"sweep.name={self.name!r} must be a plain folder name")
        if not self.space:
            problems.append(
                "sweep.space is empty; write "
                "sweep.space={optim.learning_rate: {low: 1e-4, high: 1e-2, log: true}}"
            )
        return problems
