"""The optimizer of a run, with decay on matrices only."""

import torch
from torch import nn

from dia.config.optimizer import OptimConfig
from dia.training.optimizers import OPTIMIZERS


def build_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Return the optimizer of the weights that are trained, in groups of like decay.

    Raises :class:`UserError` when a library for it is missing.
    """
    betas, named = (config.beta1, config.beta2), list(module.named_parameters())
    return OPTIMIZERS[config.kind](
        named, config.learning_rate, betas, config.weight_decay, config.weight_decay_by_group
    )
