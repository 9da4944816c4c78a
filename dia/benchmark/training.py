"""Measure training: frames a second and peak memory, beside transformers' `Trainer` on the same network.

Both use the same clips of many lengths, the same optimizer settings and precision, and the same mean number
of clips a step; runs take turns, each in a separate process. Frames are the clips' codec frames without
padding. Dia's batches have a budget of padded steps, or of steps if they are packed; transformers' batches
have a fixed number of clips, at random or of similar length (`group_by_length`).
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

from dia.benchmark.training_data import LengthDistribution
from dia.benchmark.training_job import (
    DIA,
    TRANSFORMERS,
    TrainingJob,
    TrainingMeasurement,
)
from dia.config.bench import TRAINERS
from dia.network import DiaConfig

TARGET_SPEEDUP, TARGET_MEMORY_SHARE = 1.5, 0.65  # targets of Dia against transformers


@dataclass(frozen=True)
class TrainingPlan:
    """What to measure: the first ``warm`` steps do not count, ``curves`` steps compare equal objectives."""

    model: DiaConfig
    precision: str
    rounds: int
    steps: int
    warm: int
    per_step: int
    lengths: LengthDistribution
    threads: int
    curves: int
    implementations: tuple[str, ...] = TRAINERS

    def job(self, implementation: str) -> TrainingJob:
        """Return the job of an implementation."""
        return TrainingJob(
            implementation,
            asdict(self.model),
            self.precision,
            self.steps,
            self.per_step,
            self.lengths,
            self.threads,
        )


@dataclass
class TrainingCosts:
    """The runs of each implementation by round, and the runs with equal objectives."""

    runs: dict[str, list[TrainingMeasurement]] = field(default_factory=dict)
    curves: dict[str, TrainingMeasurement] = field(default_factory=dict)

    def frames_per_second(self, implementation: str, warm: int) -> float:
        """Return the median over the rounds."""
        return statistics.median(run.frames_per_second(warm) for run in self.runs[implementation])

    def peak(self, implementation: str) -> float:
        """Return the median peak memory, in bytes."""
        return statistics.median(run.peak for run in self.runs[implementation])

    def ratios(self, implementation: str, warm: int) -> dict[str, float]:
        """Return Dia's speedup and share of the memory against another implementation."""
        faster = self.frames_per_second(DIA, warm) / self.frames_per_second(implementation, warm)
        return {"speedup": faster, "memory_share": self.peak(DIA) / self.peak(implementation)}

    def flops_per_second(self, warm: int) -> float | None:
        """Return the operations of Dia's model a second, the median over the rounds; None if not recorded."""
        runs = [run.flops_per_second(warm) for run in self.runs.get(DIA, []) if run.flops]
        return statistics.median(runs) if runs else None

    def max_loss_difference(self) -> float:
        """Return the largest difference between the two loss curves, in nats."""
        ours, other = (self.curves[implementation].losses for implementation in (DIA, TRANSFORMERS))
        return max(abs(a - b) for a, b in zip(ours, other, strict=True))


def measure_training(plan: TrainingPlan, report: Callable[[str], None]) -> TrainingCosts:
    """Measure all runs; ``report`` receives progress. Raises ``RuntimeError`` for a failed run."""
    costs = TrainingCosts()
    for round_number in range(plan.rounds):
        for implementation in plan.implementations:
            report(f"{implementation}, round {round_number + 1} of {plan.rounds}")
            costs.runs.setdefault(implementation, []).append(run_in_subprocess(plan.job(implementation)))
    for implementation in (DIA, TRANSFORMERS) if plan.curves else ():
        report(f"{implementation}, equal objective and batches")
        costs.curves[implementation] = run_in_subprocess(
            replace(plan.job(implementation), steps=plan.curves, equal=True, precision="32-true")
        )
    return costs


def run_in_subprocess(job: TrainingJob) -> TrainingMeasurement:
    """Run a job in a separate process. Raises ``RuntimeError`` with its output when it fails."""
    command = [sys.executable, "-m", "dia.benchmark.training_worker", json.dumps(job.to_dict())]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        raise RuntimeError(f"training with {job.implementation} failed: {process.stderr[-1000:]}")
    return TrainingMeasurement(**json.loads(process.stdout.splitlines()[-1]))
