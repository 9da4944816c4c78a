"""Learning rate schedules: linear warm-up, then a cosine, or a plateau with a decay at its end (WSD).

WSD (Hu et al. 2024, arXiv 2404.06395) does not fix the length of a run in advance: a checkpoint of the
plateau can be trained further or decayed early. Its decay is 1 - sqrt, which Hägele et al. 2024 (arXiv
2405.18392) measured to be better than a line.
"""

import logging
import math
from collections.abc import Callable

import torch
from torch.optim.lr_scheduler import LambdaLR

from dia.config.optimizer import ScheduleConfig

logger = logging.getLogger(__name__)


def build_schedule(optimizer: torch.optim.Optimizer, config: ScheduleConfig, steps: int) -> LambdaLR:
    """Return the schedule over ``steps`` optimizer steps; warn if it never reaches its highest rate."""
    warmup, decay = config.warmup(steps), config.decay(steps)
    if warmup >= steps or decay < warmup:
        logger.warning(
            "the learning rate does not reach its highest value in %d steps: the warm-up takes %d steps, the "
            "decay begins at step %d; shorten schedule.warmup_steps, or train for more trainer.steps",
            steps,
            warmup,
            decay,
        )
    return LambdaLR(optimizer, lambda step: share_at(step, steps, config))


def share_at(step: int, steps: int, config: ScheduleConfig) -> float:
    """Return the learning rate at a step, counted from 0, as a share of the highest."""
    warmup, decay = config.warmup(steps), config.decay(steps)
    progress = min(1.0, max(0.0, (step - decay) / max(1, steps - decay)))
    decayed = config.final_fraction + (1 - config.final_fraction) * DECAYS[config.kind](progress)
    return min(decayed, (step + 1) / warmup) if step < warmup else decayed


def _cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


def _one_minus_sqrt(progress: float) -> float:
    return 1 - math.sqrt(progress)


DECAYS: dict[str, Callable[[float], float]] = {"cosine": _cosine, "wsd": _one_minus_sqrt}
"""The share of the learning rate after a share of the decay, by ``ScheduleKind``."""
