"""Measure data preparation: how its cost scales with the input, and its speed beside dac's own command.

Each run is a command in a separate process: ``python -m dia.prepare`` on a `local` corpus of audio files, and
``python -m dac encode``. The startup cost is measured separately, on half a second of audio.
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

from dia.benchmark.processes import ProcessCost, run_measured
from dia.benchmark.synthetic_corpus import LENGTHS, write_corpus
from dia.codecs.dac_package import build_dac, dac_package
from dia.codecs.registry import load_codec
from dia.config.bench import BenchPrepareConfig

STARTUP_SECONDS = 0.5  # seconds of audio of a run that measures the startup
SHARD_UNITS = 2  # small shards, so that no core waits long for the last one
DIA_PREPARE, DAC_ENCODE = "dia.prepare", "dac encode"


@dataclass(frozen=True)
class PreparationPlan:
    """What to measure, and the folder of its corpora and data sets."""

    folder: Path
    config: BenchPrepareConfig


@dataclass
class ScalingCosts:
    """The cost and the seconds of audio for each scale of the input, and the cost of the startup alone."""

    startup: ProcessCost
    costs: dict[int, ProcessCost] = field(default_factory=dict)
    audio_seconds: dict[int, float] = field(default_factory=dict)

    def seconds_per_audio_hour(self, scale: int, what: str = "seconds") -> float:
        """Return the seconds (or ``cpu_seconds``) for an hour of audio, without the startup."""
        return (
            3600
            * float(getattr(self.costs[scale], what) - getattr(self.startup, what))
            / self.audio_seconds[scale]
        )

    def relative_to_linear(self, scale: int, what: str = "seconds") -> float:
        """Return the seconds for an hour of audio relative to the smallest input; 1 is linear."""
        return self.seconds_per_audio_hour(scale, what) / self.seconds_per_audio_hour(min(self.costs), what)


@dataclass
class DacComparison:
    """Costs of both commands for ``audio_seconds`` and for the startup, and the number of equal codes."""

    audio_seconds: float
    startup: dict[str, ProcessCost] = field(default_factory=dict)
    costs: dict[str, list[ProcessCost]] = field(default_factory=lambda: {DIA_PREPARE: [], DAC_ENCODE: []})
    codes: int = 0
    equal: int = 0
    different_codes: int = 0
    """The number of different codes in the first channel; equality of constant codes would prove nothing."""

    def throughput(self, implementation: str, *, without_startup: bool) -> float:
        """Return seconds of audio a second, the median over the rounds."""
        start = self.startup[implementation].seconds if without_startup else 0.0
        return self.audio_seconds / (
            statistics.median(cost.seconds for cost in self.costs[implementation]) - start
        )

    def relative_throughput(self, *, without_startup: bool) -> float:
        """Return the throughput of `dia.prepare` relative to dac's command."""
        return self.throughput(DIA_PREPARE, without_startup=without_startup) / self.throughput(
            DAC_ENCODE, without_startup=without_startup
        )


def codec_weights(plan: PreparationPlan) -> str:
    """Return the plan's codec, or the path of a DAC with random weights in the dac package's file format."""
    if plan.config.codec.name:
        return plan.config.codec.name
    torch.manual_seed(0)
    path = plan.folder / "weights.pth"
    build_dac().save(str(path), package=False)
    return str(path)


def measure_scaling(plan: PreparationPlan, codec: str, report: Callable[[str], None]) -> ScalingCosts:
    """Prepare corpora of increasing size, each once."""
    report("measuring the startup")
    scaling = ScalingCosts(_prepare(plan, codec, "start", STARTUP_SECONDS)[0])
    for scale in sorted(plan.config.scales):
        report(f"preparing {scale} times {plan.config.seconds:g} s of audio")
        scaling.costs[scale], scaling.audio_seconds[scale] = _prepare(
            plan, codec, f"grown-{scale}", scale * plan.config.seconds
        )
    return scaling


def _prepare(plan: PreparationPlan, codec: str, name: str, seconds: float) -> tuple[ProcessCost, float]:
    """Return the cost of preparing a new corpus, and its seconds of audio."""
    _, audio_seconds = write_corpus(plan.folder / name, seconds)
    return run_measured(prepare_command(plan, codec, name), plan.folder, 1), audio_seconds


def prepare_command(plan: PreparationPlan, codec: str, name: str, *overrides: str) -> list[str]:
    """Return the command that prepares the corpus ``name`` into its own folder."""
    return [
        sys.executable,
        "-m",
        "dia.prepare",
        "data=corpus",
        "data.corpus=local",
        f"data.path={plan.folder / name}",
        f"data.root={plan.folder / 'prepared' / name}",
        f"codec.name={codec}",
        f"engine.workers={plan.config.workers}",
        f"data.shard_units={SHARD_UNITS}",
        "data.held_out=0",
        f"data.sample_rate={load_codec(codec).sample_rate}",
        *overrides,
    ]


def dac_command(plan: PreparationPlan, codec: str, name: str, output: Path) -> list[str]:
    """Return dac's command; its windows are longer than any clip, so that it encodes each clip as a whole."""
    window = plan.config.dac_window or max(LENGTHS) + 2.0
    return [
        sys.executable,
        "-m",
        "dac",
        "encode",
        str(plan.folder / name),
        "--output",
        str(output),
        "--weights_path",
        codec,
        "--device",
        "cpu",
        "--win_duration",
        f"{window:g}",
    ]


def compare_with_dac(plan: PreparationPlan, codec: str, report: Callable[[str], None]) -> DacComparison:
    """Encode the same files with both commands in turn.

    The files already have the loudness to which dac's command normalizes, so that both encode the same
    samples.
    """
    write_corpus(plan.folder / "short", STARTUP_SECONDS, normalised=True)
    _, audio_seconds = write_corpus(plan.folder / "clips", plan.config.dac_seconds, normalised=True)
    comparison = DacComparison(audio_seconds)
    for round_number in range(-1, plan.config.rounds):
        name = "clips" if round_number >= 0 else "short"
        for implementation in (DIA_PREPARE, DAC_ENCODE):
            report(
                f"{implementation}, round {round_number + 1} of {plan.config.rounds}"
                if round_number >= 0
                else f"{implementation}, startup"
            )
            cost = _run(implementation, plan, codec, name, round_number)
            if round_number < 0:
                comparison.startup[implementation] = cost
            else:
                comparison.costs[implementation].append(cost)
    _count_equal(comparison, prepared_codes(plan.folder / "dia-0"), dac_codes(plan.folder / "dac-0"))
    return comparison


def _run(implementation: str, plan: PreparationPlan, codec: str, name: str, round_number: int) -> ProcessCost:
    if implementation == DAC_ENCODE:
        return run_measured(
            dac_command(plan, codec, name, plan.folder / f"dac-{round_number}"),
            plan.folder,
            plan.config.workers,
        )
    command = prepare_command(
        plan, codec, name, "data.keep_audio=false", f"data.root={plan.folder / f'dia-{round_number}'}"
    )
    return run_measured(command, plan.folder, 1)


def prepared_codes(root: Path) -> list[NDArray[np.int64]]:
    """Return the codes (frames, channels) of the data set in a folder, in the order of its clips."""
    rows = load_from_disk(str(next(root.glob("*-*"))))["train"].select_columns(["id", "codes"])
    return [
        np.asarray(row["codes"], dtype=np.int64)
        for row in sorted(rows, key=lambda row: int(row["id"].rsplit(":", 1)[1]))
    ]


def dac_codes(folder: Path) -> list[NDArray[np.int64]]:
    """Return the codes (frames, channels) that dac's command wrote, ordered by file name.

    The files are pickles; these ones were written by the command itself in this run.
    """
    files = sorted(folder.glob("*.dac"))
    return [dac_package().DACFile.load(path).codes[0].numpy().T for path in files]


def _count_equal(
    comparison: DacComparison, prepared: list[NDArray[np.int64]], encoded: list[NDArray[np.int64]]
) -> None:
    if [codes.shape for codes in prepared] != [codes.shape for codes in encoded]:
        shapes = [(first.shape, second.shape) for first, second in zip(prepared, encoded, strict=False)]
        raise RuntimeError(
            f"the shapes differ from those of {DAC_ENCODE}: {shapes}; its windows must not cut a clip"
        )
    first, second = np.concatenate(prepared), np.concatenate(encoded)
    comparison.codes, comparison.equal = first.size, int((first == second).sum())
    comparison.different_codes = len(np.unique(first[:, 0]))
