"""What `python -m dia.bench prepare` and `python -m dia.bench train` are asked for."""

import os
from dataclasses import dataclass, field

from dia.network import DiaConfig


@dataclass
class BenchCodec:
    """A codec's name or file; empty is descript's 44.1 kHz model with random weights."""

    name: str = ""


@dataclass
class BenchPrepareConfig:
    """Everything `python -m dia.bench prepare` reads."""

    codec: BenchCodec = field(default_factory=BenchCodec)
    workers: int = 2
    """Processes of ours, and threads of dac's command."""
    growth: bool = True
    """Whether growing inputs are prepared."""
    seconds: float = 16.0
    """Of sound, once."""
    scales: list[int] = field(default_factory=lambda: [1, 4, 16])
    dac: bool = True
    """Whether dac's own `encode` command is measured beside; it needs a DAC's `.pth` file, or the random
    weights.
    """
    rounds: int = 3
    dac_seconds: float = 48.0
    """Of sound that both encode, in each round."""
    dac_window: float = 0.0
    """Seconds of dac's windows; 0 lets none cut a clip, so that its codes are those of the whole (its own
    default is 5).
    """
    out: str = ""
    """JSON file of all that was measured."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = [
            f"{key}={value} must be {least} or more"
            for key, value, least in (
                ("workers", self.workers, 1), ("rounds", self.rounds, 1), ("seconds", self.seconds, 2),
                ("dac_seconds", self.dac_seconds, 2), ("dac_window", self.dac_window, 0),
                ("scales", min(self.scales, default=0), 1),
            )
            if value < least
        ]  # fmt: skip
        cores = len(os.sched_getaffinity(0))
        if self.workers > cores:
            found.append(f"workers={self.workers}, but this process may use {cores} cores; choose no more")
        if self.dac and self.codec.name and not self.codec.name.endswith(".pth"):
            found.append(f"dac's command has no codec {self.codec.name}; give a DAC .pth file, or dac=false")
        return found


@dataclass
class BenchTrainConfig:
    """Everything `python -m dia.bench train` reads."""

    model: DiaConfig = field(default_factory=DiaConfig)
    precision: str = "32-true"
    """`32-true` or `bf16-mixed`."""
    rounds: int = 3
    steps: int = 20
    """Of a run."""
    warm: int = 3
    """Steps of a run that do not count."""
    clips: int = 6
    """Clips a step, on the average."""
    median_frames: float = 260.0
    """Half of the clips are shorter: three seconds of DAC's frames."""
    deviation: float = 0.6
    """Of the logarithm of the clips' lengths; 0 makes them all the same."""
    curves: int = 12
    """Steps of the runs with equal objectives and batches, whose losses are compared; 0 leaves that out."""
    threads: int = 0
    """0: all cores that this process may use."""
    out: str = ""
    """JSON file of all that was measured."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = [f"model.{problem}" for problem in self.model.problems()]
        found += [
            f"{key}={value} must be {least} or more"
            for key, value, least in (
                ("rounds", self.rounds, 1), ("warm", self.warm, 1), ("clips", self.clips, 1), ("deviation", self.deviation, 0),
                ("steps", self.steps, self.warm + 1), ("median_frames", self.median_frames, 1), ("curves", self.curves, 0),
            )
            if value < least
        ]  # fmt: skip
        if self.precision not in ("32-true", "bf16-mixed"):
            found.append(f"precision={self.precision} is unknown; choose 32-true or bf16-mixed")
        return found
