"""The optimizer of a run, with decay on matrices only."""

from dataclasses import dataclass, field

import torch
from torch import nn

from dia.training.optimizers import OPTIMIZERS
from dia.training.param_groups import decay_problems
from dia.training.schedule import ScheduleConfig, build_schedule

__all__ = ["OptimConfig", "ScheduleConfig", "build_optimizer", "build_schedule"]


@dataclass
class OptimConfig:
    """``weight_decay`` reaches matrices, not norms and embeddings; ``clip_norm`` is of the whole gradient."""

    learning_rate: float = 2e-3
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    group_decay: dict[str, float] = field(default_factory=dict)
    """Weight decay of a kind of weights (dia/training/param_groups.py) where it is another: {embeddings: .01,
    head: 0}.
    """
    kind: str = "adamw"
    """`adamw`, `adamw8bit` (a quarter of its state) or `muon` (for matrices, beside AdamW for the rest)."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = decay_problems(self.group_decay)
        if self.kind not in OPTIMIZERS:
            found.append(f"optim.kind={self.kind} is unknown; choose one of {', '.join(OPTIMIZERS)}")
        if self.learning_rate <= 0:
            found.append(f"optim.learning_rate={self.learning_rate} must be above 0; usual are 1e-5 to 2e-3")
        if self.weight_decay < 0:
            found.append(f"optim.weight_decay={self.weight_decay} must be 0 or more; usual are .01 to .1")
        return found


def build_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Return the optimizer of the weights that are trained, in groups of like decay.

    Raises :class:`UserError` when a library for it is missing.
    """
    betas, named = (config.beta1, config.beta2), list(module.named_parameters())
    return OPTIMIZERS[config.kind](
        named, config.learning_rate, betas, config.weight_decay, config.group_decay
    )
