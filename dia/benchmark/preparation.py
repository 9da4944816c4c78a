"""What preparing data costs: how it grows with the input, and how fast it tokenizes beside the dac package's
own command.

Every run is a command in a process of its own, start-up included: ``python -m dia.prepare`` on a `local`
corpus of sound files, and ``python -m dac encode``. What a start costs is measured apart, on half a second of
sound.
"""

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from datasets import load_from_disk
from numpy.typing import NDArray

from dia.benchmark.processes import Cost, run_watched
from dia.benchmark.sounds import LENGTHS, write_corpus
from dia.codecs.dac_package import build_dac, dac_package
from dia.codecs.registry import load_codec
from dia.config.bench import BenchPrepareConfig

STARTING = 0.5  # seconds of sound of a run that is nothing but its start
SHARD_UNITS = 2  # small shards, so that the last one keeps no core waiting for long
OURS, THEIRS = "dia.prepare", "dac encode"


@dataclass(frozen=True)
class PreparationPlan:
    """What to measure, and the folder for its corpora and data sets."""

    folder: Path
    config: BenchPrepareConfig


@dataclass
class Growth:
    """The cost by scale of the input, the seconds of sound of each, and what a start alone costs."""

    starting: Cost
    costs: dict[int, Cost] = field(default_factory=dict)
    sound: dict[int, float] = field(default_factory=dict)

    def for_an_hour(self, scale: int, what: str = "seconds") -> float:
        """Return the seconds (or the ``processor`` seconds) beyond the start that an hour of sound takes."""
        return (
            3600 * float(getattr(self.costs[scale], what) - getattr(self.starting, what)) / self.sound[scale]
        )

    def against_linear(self, scale: int, what: str = "seconds") -> float:
        """Return the same over what it is for the smallest input; 1 is linear."""
        return self.for_an_hour(scale, what) / self.for_an_hour(min(self.costs), what)


@dataclass
class Comparison:
    """Costs of both commands on ``sound`` seconds, round by round, and on next to nothing; how many of the
    codes are the same.
    """

    sound: float
    starting: dict[str, Cost] = field(default_factory=dict)
    costs: dict[str, list[Cost]] = field(default_factory=lambda: {OURS: [], THEIRS: []})
    codes: int = 0
    equal: int = 0
    different_codes: int = 0
    """How many different codes the first channel takes: equality of a constant would say nothing."""

    def throughput(self, who: str, without_start: bool) -> float:
        """Return seconds of sound a second: the median over the rounds."""
        start = self.starting[who].seconds if without_start else 0.0
        return self.sound / (statistics.median(cost.seconds for cost in self.costs[who]) - start)

    def times(self, without_start: bool) -> float:
        """Return how many times theirs our throughput is."""
        return self.throughput(OURS, without_start) / self.throughput(THEIRS, without_start)


def weights_of(plan: PreparationPlan) -> str:
    """Return the codec to use: the plan's, or a DAC of random weights, saved as the dac package saves its
    own.
    """
    if plan.config.codec.name:
        return plan.config.codec.name
    torch.manual_seed(0)
    path = plan.folder / "weights.pth"
    build_dac().save(str(path), package=False)
    return str(path)


def measure_growth(plan: PreparationPlan, codec: str, say: Callable[[str], None]) -> Growth:
    """Prepare corpora of growing size, each once."""
    say("preparing next to nothing")
    growth = Growth(_prepare(plan, codec, "start", STARTING)[0])
    for scale in sorted(plan.config.scales):
        say(f"preparing {scale} times {plan.config.seconds:g} s of sound")
        growth.costs[scale], growth.sound[scale] = _prepare(
            plan, codec, f"grown-{scale}", scale * plan.config.seconds
        )
    return growth


def _prepare(plan: PreparationPlan, codec: str, name: str, seconds: float) -> tuple[Cost, float]:
    """The cost of preparing a new corpus, and its seconds of sound."""
    _, sound = write_corpus(plan.folder / name, seconds)
    return run_watched(prepare_command(plan, codec, name), plan.folder, 1), sound


def prepare_command(plan: PreparationPlan, codec: str, name: str, *more: str) -> list[str]:
    """Return the command that prepares the corpus ``name`` into a folder of its own."""
    return [
        sys.executable, "-m", "dia.prepare", "data=corpus", "data.corpus=local", f"data.path={plan.folder / name}",
        f"data.root={plan.folder / 'prepared' / name}", f"codec.name={codec}", f"engine.workers={plan.config.workers}",
        f"data.shard_units={SHARD_UNITS}", f"data.sample_rate={load_codec(codec).sample_rate}", *more,
    ]  # fmt: skip


def dac_command(plan: PreparationPlan, codec: str, name: str, output: Path) -> list[str]:
    """Return dac's command. Its windows are as long as the longest clip: its codes are then those of each
    clip as a whole.
    """
    window = plan.config.dac_window or max(LENGTHS) + 2.0
    return [
        sys.executable, "-m", "dac", "encode", str(plan.folder / name), "--output", str(output), "--weights_path", codec,
        "--device", "cpu", "--win_duration", f"{window:g}",
    ]  # fmt: skip


def compare_with_dac(plan: PreparationPlan, codec: str, say: Callable[[str], None]) -> Comparison:
    """Encode the same files by both commands in turn.

    The files have the loudness already that dac's command brings its input to, so that both encode the same
    samples.
    """
    write_corpus(plan.folder / "short", STARTING, normalised=True)
    _, sound = write_corpus(plan.folder / "clips", plan.config.dac_seconds, normalised=True)
    compared = Comparison(sound)
    for place in range(-1, plan.config.rounds):
        name = "clips" if place >= 0 else "short"
        for who in (OURS, THEIRS):
            say(
                f"{who}, round {place + 1} of {plan.config.rounds}"
                if place >= 0
                else f"{who}, next to nothing"
            )
            cost = _run(who, plan, codec, name, place)
            if place < 0:
                compared.starting[who] = cost
            else:
                compared.costs[who].append(cost)
    _count_equal(compared, prepared_codes(plan.folder / "ours-0"), dac_codes(plan.folder / "theirs-0"))
    return compared


def _run(who: str, plan: PreparationPlan, codec: str, name: str, place: int) -> Cost:
    if who == THEIRS:
        return run_watched(
            dac_command(plan, codec, name, plan.folder / f"theirs-{place}"), plan.folder, plan.config.workers
        )
    command = prepare_command(
        plan, codec, name, "data.keep_audio=false", f"data.root={plan.folder / f'ours-{place}'}"
    )
    return run_watched(command, plan.folder, 1)


def prepared_codes(root: Path) -> list[NDArray[np.int64]]:
    """Return the codes (frames, channels) of the one data set in a folder, by the order of its clips."""
    rows = load_from_disk(str(next(root.glob("*-*"))))["train"].select_columns(["id", "codes"])
    return [
        np.asarray(row["codes"], dtype=np.int64)
        for row in sorted(rows, key=lambda row: int(row["id"].rsplit(":", 1)[1]))
    ]


def dac_codes(folder: Path) -> list[NDArray[np.int64]]:
    """Return the codes (frames, channels) that dac's command wrote, by file name.

    Its files are pickles; these were written a moment ago by the command itself.
    """
    files = sorted(folder.glob("*.dac"))
    return [dac_package().DACFile.load(path).codes[0].numpy().T for path in files]


def _count_equal(
    compared: Comparison, ours: list[NDArray[np.int64]], theirs: list[NDArray[np.int64]]
) -> None:
    if [codes.shape for codes in ours] != [codes.shape for codes in theirs]:
        shapes = [(first.shape, second.shape) for first, second in zip(ours, theirs, strict=False)]
        raise RuntimeError(
            f"the codes have other shapes than those of {THEIRS}: {shapes}; its windows must not cut a clip"
        )
    first, second = np.concatenate(ours), np.concatenate(theirs)
    compared.codes, compared.equal = first.size, int((first == second).sum())
    compared.different_codes = len(np.unique(first[:, 0]))
