"""What training costs: frames a second and peak memory of ours, beside the `Trainer` of transformers on the
same network.

The same clips of many lengths, the same optimizer settings and precision, the same number of clips a step on
the average; each run in a process of its own, in turns. Frames are the codec frames of the clips: padding is
nobody's work. Ours makes batches within a budget of padded steps; transformers takes so many clips at random,
or of like length (`group_by_length`).
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

from dia.benchmark.training_data import Lengths
from dia.benchmark.training_job import OURS, THEIRS, THEIRS_BY_LENGTH, Trained, TrainingJob
from dia.network import DiaConfig

VARIANTS = (OURS, THEIRS, THEIRS_BY_LENGTH)  # transformers as its `Trainer` is by default, and at its best
FASTER, LEANER = 1.5, 0.7  # what ours shall reach: times the frames, share of the memory


@dataclass(frozen=True)
class TrainingPlan:
    """What to measure; the first ``warm`` steps of a run do not count. ``curves`` are steps of runs with
    equal objectives.
    """

    model: DiaConfig
    precision: str
    rounds: int
    steps: int
    warm: int
    per_step: int
    lengths: Lengths
    threads: int
    curves: int

    def job(self, who: str) -> TrainingJob:
        """Return the job of a variant."""
        return TrainingJob(
            who, asdict(self.model), self.precision, self.steps, self.per_step, self.lengths, self.threads
        )


@dataclass
class TrainingCosts:
    """The runs of each variant, round by round; and those with equal objectives."""

    runs: dict[str, list[Trained]] = field(default_factory=dict)
    curves: dict[str, Trained] = field(default_factory=dict)

    def frames_per_second(self, who: str, warm: int) -> float:
        """Return the median over the rounds."""
        return statistics.median(run.frames_per_second(warm) for run in self.runs[who])

    def peak(self, who: str) -> float:
        """Return the median of the peak memory, in bytes."""
        return statistics.median(run.peak for run in self.runs[who])

    def ratios(self, who: str, warm: int) -> dict[str, float]:
        """Return how many times the frames and what share of the memory ours has, beside a variant of
        transformers.
        """
        faster = self.frames_per_second(OURS, warm) / self.frames_per_second(who, warm)
        return {"times_the_frames": faster, "share_of_the_memory": self.peak(OURS) / self.peak(who)}

    def largest_difference(self) -> float:
        """Return how far the two loss curves are apart at most, in nats."""
        ours, other = (self.curves[who].losses for who in (OURS, THEIRS))
        return max(abs(a - b) for a, b in zip(ours, other, strict=True))


def measure_training(plan: TrainingPlan, say: Callable[[str], None]) -> TrainingCosts:
    """Measure; ``say`` is told what goes on. Raises ``RuntimeError`` with what a run said when it fails."""
    made = TrainingCosts()
    for place in range(plan.rounds):
        for who in VARIANTS:
            say(f"{who}, round {place + 1} of {plan.rounds}")
            made.runs.setdefault(who, []).append(run_apart(plan.job(who)))
    for who in (OURS, THEIRS) if plan.curves else ():
        say(f"{who}, objective and batches made equal")
        made.curves[who] = run_apart(
            replace(plan.job(who), steps=plan.curves, equal=True, precision="32-true")
        )
    return made


def run_apart(job: TrainingJob) -> Trained:
    """Run a job in a process of its own. Raises ``RuntimeError`` with what it said when it fails."""
    command = [sys.executable, "-m", "dia.benchmark.training_worker", json.dumps(job.as_plain())]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"training with {job.who} failed: {done.stderr[-1000:]}")
    return Trained(**json.loads(done.stdout.splitlines()[-1]))
