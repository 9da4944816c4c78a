"""What a plan assumes (dia/planning/planner.py)."""

from dataclasses import dataclass, field

from dia.training.flops import PEAK_FLOPS


@dataclass
class PlanConfig:
    """What a plan assumes. Memory is in GB of 1e9 bytes."""

    gpus: int = 0
    """GPUs of all nodes; 0: trainer.devices x trainer.nodes, and where these are 0 too, 8 for a strategy that
    spreads, else 1.
    """
    memory_gb: float = 80.0
    """Of one GPU."""
    reserve_gb: float = 4.0
    """What does not go into tensors: CUDA context, libraries' workspaces, NCCL's channels, the allocator's
    fragments. A guess.
    """
    mfu: float = 0.4
    """Share of the data sheet's operations that is reached; padding and what is computed again come on top of
    the clips' own. LLM Foundry's tables have .5 to .6 for GPTs of 1 to 3 B on A100s; ours is not measured on
    any GPU."""
    dollars_an_hour: dict[str, float] = field(default_factory=lambda: {"A100": 1.8, "H100": 3.0})
    """For one GPU, by name (dia/training/flops.py); about what specialised clouds asked on demand in 2025,
    hyperscalers twice.
    """
    clip_seconds: float = 12.0
    """Usual length of a clip, which decides how many share a batch."""
    text_bytes_a_second: float = 15.0
    """English at 150 words a minute."""
    padding: float = 0.05
    """Share of a batch's steps that are padding; `train/padding_share` of a run tells it."""
    frame_rate: float = 0.0
    """Codec frames a second; 0: the codec's own."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        above = ("memory_gb", "mfu", "clip_seconds", "text_bytes_a_second")
        found = [
            f"planning.{name}={getattr(self, name)} must be above 0"
            for name in above
            if getattr(self, name) <= 0
        ]
        least = ("gpus", "reserve_gb", "frame_rate")
        found += [
            f"planning.{name}={getattr(self, name)} must be 0 or more"
            for name in least
            if getattr(self, name) < 0
        ]
        if self.mfu > 1 or not 0 <= self.padding < 1:
            found.append(f"planning.mfu={self.mfu} and planning.padding={self.padding} are shares of 1")
        if unknown := sorted(self.dollars_an_hour.keys() - PEAK_FLOPS.keys()):
            found.append(
                f"planning.dollars_an_hour names {', '.join(unknown)}; known are {', '.join(PEAK_FLOPS)}"
            )
        return found
