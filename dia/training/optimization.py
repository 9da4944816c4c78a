"""AdamW with decay on matrices only."""

from dataclasses import dataclass, field

import torch
from torch import nn

from dia.training.groups import decay_problems, parameter_groups
from dia.training.schedule import ScheduleConfig, build_schedule

__all__ = ["OptimConfig", "ScheduleConfig", "build_optimizer", "build_schedule"]


@dataclass
class OptimConfig:
    """AdamW. ``weight_decay`` reaches matrices, not norms and embeddings; ``clip_norm`` is of the whole gradient."""

    learning_rate: float = 2e-3
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    group_decay: dict[str, float] = field(default_factory=dict)
    """Weight decay of a kind of weights (dia/training/groups.py) where it is another: {embeddings: .01, head: 0}."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = decay_problems(self.group_decay)
        if self.learning_rate <= 0:
            found.append(f"optim.learning_rate={self.learning_rate} must be above 0; usual are 1e-5 to 2e-3")
        if self.weight_decay < 0:
            found.append(f"optim.weight_decay={self.weight_decay} must be 0 or more; usual are .01 to .1")
        return found


def build_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """Return AdamW over the weights that are trained, in groups of like decay."""
    groups = parameter_groups(module.named_parameters(), config.weight_decay, config.group_decay)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2))
