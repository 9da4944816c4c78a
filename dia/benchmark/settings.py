"""What `python -m dia.bench prepare` is asked for."""

import os
from dataclasses import dataclass, field


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
    """Whether dac's own `encode` command is measured beside; it needs a DAC's `.pth` file, or the random weights."""
    rounds: int = 3
    dac_seconds: float = 48.0
    """Of sound that both encode, in each round."""
    dac_window: float = 0.0
    """Seconds of dac's windows; 0 lets none cut a clip, so that its codes are those of the whole (its own default is 5)."""
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
