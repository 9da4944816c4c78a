"""Early stopping on a logged validation metric: Lightning's callback, made exact across resumes."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping

from dia.config.callbacks import VALIDATION_PREFIX, EarlyStoppingConfig
from dia.config.choices import MonitorMode
from dia.errors import UserError


class EarlyStopping(LightningEarlyStopping):
    """Stops training after ``patience`` validations without improvement.

    Its state is part of the checkpoint: a resumed run stops where an uninterrupted one does, and a stopped
    run stays stopped. Unlike Lightning's, it reports a metric that is not logged as :class:`UserError`.
    """

    def __init__(self, config: EarlyStoppingConfig) -> None:
        super().__init__(
            config.monitor,
            min_delta=config.min_delta,
            patience=config.patience,
            mode=str(config.mode),
            check_finite=False,  # a metric that is not finite counts as no improvement
            check_on_train_epoch_end=False,
        )

    @property
    def state_key(self) -> str:
        """The name of its state in checkpoints, which earlier versions wrote as well."""
        return "EarlyStop"

    @property
    def improved(self) -> bool:
        """Whether the last validation was the best so far."""
        return self.wait_count == 0

    @property
    def has_compared(self) -> bool:
        """Whether there has been a validation."""
        return bool(torch.isfinite(self.best_score))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state; that of earlier versions holds ``best`` (negated for `max`) and ``waited``."""
        if "waited" in state_dict:
            sign = 1 if self.mode == MonitorMode.min else -1
            self.best_score = torch.tensor(sign * state_dict["best"])
            self.wait_count = state_dict["waited"]
            return
        patience = self.patience
        super().load_state_dict(state_dict)
        self.patience = patience  # the config's may have changed
        self.best_score = torch.as_tensor(self.best_score)

    def on_fit_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Train no further if the run had stopped already."""
        trainer.should_stop = self.wait_count >= self.patience

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Compare with the best value. Raises :class:`UserError` when the metric is not logged."""
        logged = sorted(name for name in trainer.callback_metrics if name.startswith(VALIDATION_PREFIX))
        if not trainer.sanity_checking and self.monitor not in logged:
            raise UserError(
                f"early_stopping.monitor={self.monitor} is not logged; choose one of: {', '.join(logged)}"
            )
        super().on_validation_end(trainer, task)
