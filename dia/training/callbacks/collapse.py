"""A callback that stops preference training when its speech flattens or drifts: reward hacking.

What is optimized rises by itself; what is not may fall with it. Optimizing a recogniser's score flattens
prosody (arXiv 2509.18531), and short takes have fewer errors. The values of generated validation scripts are
compared with those of the weights that training started from.
"""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L

from dia.config.callbacks import CollapseConfig
from dia.training.callbacks.divergence import Failure, TrainingFailed, write_failure
from dia.training.callbacks.generate_samples import GenerateSamples

SPREADS = {
    "pitch_spread_semitones": "the pitch spread",
    "energy_spread_decibels": "the energy spread",
    "similarity": "the similarity to the voices",
}
DURATION = "duration_ratio"
logger = logging.getLogger(__name__)


class CollapseGuard(L.Callback):
    """Stops a run after ``patience`` validations in a row with a collapse; rank 0 decides.

    ``samples`` generates and scores the validation scripts, before the first step as well.
    """

    def __init__(self, config: CollapseConfig, samples: GenerateSamples, folder: Path) -> None:
        self.config, self.samples, self.folder = config, samples, folder
        self.first: dict[str, float] | None = None  # on ranks but the first it stays empty
        self.collapsed = 0

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Generate and score samples of the initial weights, unless the run is resumed."""
        if self.first is not None:
            return
        self.samples.generate_now(trainer, task)
        self.first = dict(self.samples.metrics)
        watched = [name for name in (*SPREADS, DURATION) if name in self.first]
        logger.info("a collapse is looked for in: %s", ", ".join(watched) or "nothing that is measured here")

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Compare the samples of this validation with the first ones."""
        if trainer.sanity_checking or self.first is None or not self.samples.is_new:
            return
        problems = collapses(self.first, self.samples.metrics, self.config)
        self.collapsed = self.collapsed + 1 if problems else 0
        for problem in problems:
            logger.warning("step %s: %s", f"{trainer.global_step:,}", problem)
        stop = trainer.strategy.broadcast(self.collapsed >= self.config.patience, src=0)
        if stop:
            self._fail(trainer, problems)

    def state_dict(self) -> dict[str, Any]:
        """Return the first values and the number of validations with a collapse."""
        return {"first": self.first, "collapsed": self.collapsed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the first values and the number of validations with a collapse."""
        self.first, self.collapsed = state_dict["first"], int(state_dict["collapsed"])

    def _fail(self, trainer: L.Trainer, problems: list[str]) -> None:
        step, rank = trainer.global_step, trainer.global_rank
        message = "; ".join(problems) or "the samples of rank 0 have collapsed"
        details = {"first": self.first, "last": self.samples.metrics}
        path = write_failure(self.folder, Failure("collapsed", message, step, rank, [], details))
        raise TrainingFailed(
            f"training stopped at step {step:,}: {message}. The reward rises at the expense of what it does "
            f"not measure. Details are in {path}; earlier checkpoints are in {self.folder}. Stop earlier "
            "(trainer.steps), stay closer to the reference (preference.beta, grpo.kl_weight, "
            "optim.learning_rate), or add the term that falls to the rewards"
        )


def collapses(first: Mapping[str, float], last: Mapping[str, float], config: CollapseConfig) -> list[str]:
    """Return a sentence for each value that has collapsed since the first samples."""
    if not config.lowest:
        return []
    problems = [
        f"{words} fell from {first[name]:.2f} to {last[name]:.2f}, below {config.lowest:.0%} of it"
        for name, words in SPREADS.items()
        if name in first and name in last and last[name] < config.lowest * first[name]
    ]
    if DURATION in first and DURATION in last:
        factor = last[DURATION] / first[DURATION] if first[DURATION] > 0 else math.inf
        if not 1 / config.farthest_duration <= factor <= config.farthest_duration:
            problems.append(
                f"the duration by that of the recordings went from {first[DURATION]:.2f} to "
                f"{last[DURATION]:.2f}, more than {config.farthest_duration:g} times"
            )
    return problems
