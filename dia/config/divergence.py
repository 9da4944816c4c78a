"""When a run is stopped because it has gone wrong (dia/training/callbacks/divergence.py, stalls.py)."""

from dataclasses import dataclass

FEWEST = 20  # losses before a median says anything


@dataclass
class DivergenceConfig:
    """When a run is stopped because it has gone wrong."""

    divergence_factor: float = 1.5
    """A loss this many times its running median is too high."""
    divergence_steps: int = 100
    """Optimizer steps in a row with a loss too high that stop the run; 0: never."""
    median_steps: int = 500
    """Losses that the running median is taken of."""
    stall_seconds: float = 600.0
    """Seconds without a batch from the loader that stop the run; 0: never."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = []
        if self.divergence_factor <= 1:
            found.append(f"guard.divergence_factor={self.divergence_factor} must be above 1; usual is 1.5")
        if self.median_steps < FEWEST:
            found.append(f"guard.median_steps={self.median_steps} must be {FEWEST} or more; usual is 500")
        return found + [
            f"guard.{key}={value} must be 0 (off) or more"
            for key, value in (
                ("divergence_steps", self.divergence_steps),
                ("stall_seconds", self.stall_seconds),
            )
            if value < 0
        ]
