"""The learning rate over a run: a linear warm-up, then a cosine, or a plateau with a decay at its end (WSD).

WSD (Hu et al. 2024, arXiv 2404.06395) does not fix the length of a run beforehand: what was saved on the
plateau can be given more steps, or be cooled down early. Its decay is 1 - sqrt (Hägele et al. 2024, arXiv
2405.18392, found better than a line).
"""

import logging
import math

import torch
from torch.optim.lr_scheduler import LambdaLR

from dia.config.optimizer import ScheduleConfig

log = logging.getLogger(__name__)


def build_schedule(optimizer: torch.optim.Optimizer, config: ScheduleConfig, steps: int) -> LambdaLR:
    """Return the schedule over ``steps`` optimizer steps; one that never reaches its learning rate is warned
    of.
    """
    if config.warmup(steps) >= steps or config.decay(steps) < config.warmup(steps):
        log.warning(
            "the learning rate does not reach its highest in %d steps: the warm-up takes %d, the decay begins at %d",
            steps, config.warmup(steps), config.decay(steps),
        )  # fmt: skip
    return LambdaLR(optimizer, lambda step: share_at(step, steps, config))


def share_at(step: int, steps: int, config: ScheduleConfig) -> float:
    """Return the share of the highest learning rate at a step, counted from 0, of a run of ``steps``."""
    warmup, decay = config.warmup(steps), config.decay(steps)
    done = min(1.0, max(0.0, (step - decay) / max(1, steps - decay)))
    falling = config.final_fraction + (1 - config.final_fraction) * SHAPES[config.kind](done)
    return min(falling, (step + 1) / warmup) if step < warmup else falling


def _cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))


def _cooldown(done: float) -> float:
    return 1 - math.sqrt(done)


SHAPES = {"cosine": _cosine, "wsd": _cooldown}
