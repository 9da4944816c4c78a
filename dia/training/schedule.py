"""The learning rate over a run: a linear warm-up, then a cosine, or a plateau with a decay at its end (WSD).

WSD (Hu et al. 2024, arXiv 2404.06395) does not fix the length of a run beforehand: what was saved on the
plateau can be given more steps, or be cooled down early. Its decay is 1 - sqrt (Hägele et al. 2024, arXiv
2405.18392, found better than a line).
"""

import logging
import math
from dataclasses import dataclass

import torch
from torch.optim.lr_scheduler import LambdaLR

log = logging.getLogger(__name__)


@dataclass
class ScheduleConfig:
    """Warm-up, then ``kind``: down to ``final_fraction`` of the learning rate."""

    warmup_steps: int | None = 100
    """Optimizer steps of the warm-up; this or ``warmup_fraction``."""
    final_fraction: float = 0.05
    """Share of the learning rate at the last step."""
    kind: str = "cosine"
    """`cosine`, or `wsd`: all of the learning rate until the decay."""
    warmup_fraction: float | None = None
    """Warm-up as a share of all steps."""
    decay_fraction: float = 0.2
    """Share of all steps, the last ones, over which `wsd` decays."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = (
            []
            if self.kind in SHAPES
            else [f"schedule.kind={self.kind} is unknown; choose one of {', '.join(SHAPES)}"]
        )
        if (self.warmup_steps is None) == (self.warmup_fraction is None):
            found.append(
                f"schedule.warmup_steps={self.warmup_steps} and schedule.warmup_fraction={self.warmup_fraction}: give one of "
                "them, and null for the other"
            )
        if self.warmup_steps is not None and self.warmup_steps < 1:
            found.append(f"schedule.warmup_steps={self.warmup_steps} must be above 0")
        for key, share in (
            ("warmup_fraction", self.warmup_fraction), ("decay_fraction", self.decay_fraction),
            ("final_fraction", self.final_fraction),
        ):  # fmt: skip
            if share is not None and not 0 <= share <= 1:
                found.append(f"schedule.{key}={share} is a share; choose 0 to 1")
        return found

    def warmup(self, steps: int) -> int:
        """Return the steps of the warm-up of a run of ``steps``, one at least."""
        wanted = (
            self.warmup_steps
            if self.warmup_steps is not None
            else round((self.warmup_fraction or 0.0) * steps)
        )
        return max(1, wanted)

    def decay(self, steps: int) -> int:
        """Return the step at which the decay of a run of ``steps`` begins."""
        return self.warmup(steps) if self.kind == "cosine" else steps - round(self.decay_fraction * steps)


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
