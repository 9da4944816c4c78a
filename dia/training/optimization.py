"""AdamW with decay on matrices only, and a cosine schedule with warm-up, both as plain torch objects."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


@dataclass
class OptimConfig:
    """AdamW. ``weight_decay`` reaches matrices, not norms and embeddings; ``clip_norm`` is of the whole gradient."""

    learning_rate: float = 2e-3
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.01
    clip_norm: float = 1.0

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        if self.learning_rate <= 0:
            return [f"optim.learning_rate={self.learning_rate} must be above 0; usual are 1e-5 to 2e-3"]
        return []


@dataclass
class ScheduleConfig:
    """Linear warm-up over ``warmup_steps``, then a cosine down to ``final_fraction`` of the learning rate."""

    warmup_steps: int = 100
    final_fraction: float = 0.05

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        return [] if self.warmup_steps > 0 else [f"schedule.warmup_steps={self.warmup_steps} must be above 0"]


def build_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """Return AdamW over two groups: with decay (weights of linear layers), and without (embeddings, norms)."""
    decayed = [child.weight for child in module.modules() if isinstance(child, nn.Linear)]
    known = {id(parameter) for parameter in decayed}
    rest = [parameter for parameter in module.parameters() if id(parameter) not in known]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2))


def build_schedule(optimizer: torch.optim.Optimizer, config: ScheduleConfig, steps: int) -> LambdaLR:
    """Return the schedule over ``steps`` optimizer steps."""
    return LambdaLR(optimizer, lambda step: warmup_cosine(step, steps, config))


def warmup_cosine(step: int, steps: int, config: ScheduleConfig) -> float:
    """Return the share of the highest learning rate at a step: a linear warm-up, then a cosine."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = min(1.0, (step - config.warmup_steps) / max(1, steps - config.warmup_steps))
    return config.final_fraction + (1 - config.final_fraction) * 0.5 * (1 + math.cos(math.pi * done))
