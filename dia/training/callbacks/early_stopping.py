"""Training ends when a figure of the validation no longer gets better."""

import math
from typing import Any

import lightning as L

from dia.config.callbacks import VALIDATION_PREFIX, EarlyStoppingConfig
from dia.config.choices import MonitorMode
from dia.errors import UserError


class EarlyStopping(L.Callback):
    """Ends training after ``patience`` validations that were no better. ``improved`` tells whether the newest
    was.

    What it has seen is part of the checkpoint: a run that goes on stops where an unbroken one does, and one
    that was stopped stays so.
    """

    def __init__(self, config: EarlyStoppingConfig) -> None:
        self.config, self.best, self.waited = config, math.inf, 0

    @property
    def improved(self) -> bool:
        """Whether the newest validation was the best so far."""
        return self.waited == 0

    @property
    def compared(self) -> bool:
        """Whether there was any validation."""
        return self.best < math.inf

    def state_dict(self) -> dict[str, Any]:
        """What a run must know to go on."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what an earlier part of the run has seen."""
        self.best, self.waited = state_dict["best"], state_dict["waited"]

    def on_fit_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Train no further what has been stopped."""
        trainer.should_stop = self.waited >= self.config.patience

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Compare with the best. Raises :class:`UserError` when the figure was not logged."""
        if trainer.sanity_checking:
            return
        if self.config.monitor not in trainer.callback_metrics:
            known = ", ".join(
                sorted(name for name in trainer.callback_metrics if name.startswith(VALIDATION_PREFIX))
            )
            raise UserError(f"early_stopping.monitor={self.config.monitor} is not logged; there are: {known}")
        value = float(trainer.callback_metrics[self.config.monitor]) * (
            1 if self.config.mode is MonitorMode.min else -1
        )
        better = trainer.strategy.reduce_boolean_decision(value < self.best - self.config.min_delta)
        self.best, self.waited = (value, 0) if better else (self.best, self.waited + 1)
        if self.waited >= self.config.patience:
            trainer.should_stop = True
