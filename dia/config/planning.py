"""Assumptions of a training plan (`plan=true`, dia/planning/planner.py)."""

from dataclasses import dataclass, field


@dataclass
class PlanConfig:
    """What a plan assumes. Memory is in GB of 1e9 bytes."""

    gpus: int = 0
    """GPUs of all nodes. 0 is trainer.devices x trainer.nodes; where these are 0 too, 8 for a distributed
    strategy and 1 otherwise."""
    memory_gb: float = 80.0
    """Memory of one GPU."""
    reserve_gb: float = 4.0
    """Memory outside tensors: CUDA context, workspaces of libraries, NCCL buffers, fragmentation. An
    estimate."""
    mfu: float = 0.4
    """Model FLOPs utilization: the share of the data sheet's operations that is reached. Padding and
    recomputation come on top. LLM Foundry's tables have .5 to .6 for GPTs of 1 to 3 B on A100s; ours is not
    measured on any GPU."""
    dollars_per_gpu_hour: dict[str, float] = field(default_factory=lambda: {"A100": 1.8, "H100": 3.0})
    """Price of one GPU by name (dia/training/flops.py). The defaults are about the on-demand prices of
    specialised clouds in 2025; hyperscalers charge twice that."""
    clip_seconds: float = 12.0
    """Usual length of a clip in seconds, which decides how many share a batch."""
    text_bytes_per_second: float = 15.0
    """Bytes of text per second of speech; English has 15 at 150 words a minute."""
    padding: float = 0.05
    """Share of a batch's steps that is padding; a run logs it as `train/padding_share`."""
    frame_rate: float = 0.0
    """Codec frames per second; 0 is the codec's own."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        positive = ("memory_gb", "mfu", "clip_seconds", "text_bytes_per_second")
        problems = [
            f"planning.{name}={getattr(self, name)} must be above 0"
            for name in positive
            if getattr(self, name) <= 0
        ]
        problems += [
            f"planning.{name}={getattr(self, name)} must be 0 or more"
            for name in ("gpus", "reserve_gb", "frame_rate")
            if getattr(self, name) < 0
        ]
        if self.mfu > 1 or not 0 <= self.padding < 1:
            problems.append(f"planning.mfu={self.mfu} and planning.padding={self.padding} are shares of 1")
        return problems
