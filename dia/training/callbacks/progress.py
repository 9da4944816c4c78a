"""A callback that shows steps, loss, learning rate, speed and time left, with or without a terminal.

Lightning's progress bars show nothing useful without a terminal, count epochs, which runs here do not have,
and round a learning rate of 2e-4 to 0.000.
"""

import logging
from typing import Any

import lightning as L

from dia.progress import Progress, format_value

logger = logging.getLogger(__name__)


class TrainingProgress(L.Callback):
    """Shows the metrics that the module logs with ``prog_bar=True``, on rank 0."""

    def __init__(self) -> None:
        self.shown: Progress | None = None
        self.last_step = 0

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Start counting at the step that training starts or resumes at."""
        if trainer.is_global_zero:
            self.last_step = trainer.global_step
            self.shown = Progress("training", int(trainer.max_steps), unit="steps", first=self.last_step)
            self.shown.__enter__()

    def on_train_batch_end(
        self, trainer: L.Trainer, task: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count an optimizer step; a batch that only accumulated gradients changes nothing."""
        if self.shown is not None and trainer.global_step != self.last_step:
            self.last_step = trainer.global_step
            self.shown.update(self.last_step, **_metrics(trainer, "train/"))

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Log the validation."""
        if self.shown is not None and not trainer.sanity_checking:
            metrics = _metrics(trainer, "validation/")
            text = ", ".join(
                f"{name.replace('_', ' ')} {format_value(value)}" for name, value in metrics.items()
            )
            logger.info("validation at step %s: %s", f"{trainer.global_step:,}", text or "done")

    def on_train_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Leave the bar, or log the last step."""
        self._close()

    def on_exception(self, trainer: L.Trainer, task: L.LightningModule, exception: BaseException) -> None:
        """Leave the bar, so that the message of the exception stands below it."""
        self._close()

    def _close(self) -> None:
        if self.shown is not None:
            self.shown.__exit__(None, None, None)
            self.shown = None


def _metrics(trainer: L.Trainer, stage: str) -> dict[str, float]:
    metrics = trainer.progress_bar_metrics
    return {
        name.removeprefix(stage): float(value) for name, value in metrics.items() if name.startswith(stage)
    }
