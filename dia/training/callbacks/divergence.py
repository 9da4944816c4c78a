"""Training that has gone wrong stops, says which clips it was at, and leaves the last good checkpoint as it
is.

Three things are watched: a loss or gradient that is not finite, which is found before the optimizer takes it;
a loss that stays far above its running median; and a loader that gives no batch
(dia/training/callbacks/watchdog.py). What is found is written to `failure.json` in the run folder. Divergence
and what is not finite end as :class:`TrainingFailed`, exit code 2.
"""

import json
import math
import statistics
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from dia.config.callbacks import MIN_MEDIAN_WINDOW, DivergenceConfig
from dia.errors import UserError
from dia.files import write_text

FAILURE = "failure.json"
NAMED = 5  # parameters that are named


class TrainingFailed(UserError):
    """Training cannot go on; the message says at which step, on which clips, and what to do."""


@dataclass(frozen=True)
class Failure:
    """What went wrong: ``batches`` are the clip ids of the step's micro-batches of this rank, or of
    those whose loss is wrong.
    """

    kind: str
    message: str
    step: int
    rank: int
    batches: list[list[str]]
    details: dict[str, Any] = field(default_factory=dict)


def write_failure(folder: Path, failure: Failure) -> Path:
    """Write it to the run folder: `failure.json` for rank 0, `failure-<rank>.json` for the others."""
    path = folder / (FAILURE if failure.rank == 0 else f"failure-{failure.rank}.json")
    write_text(path, json.dumps(asdict(failure), indent=2) + "\n")
    return path


class Divergence:
    """Counts losses in a row that lie too far above the median of those that did not."""

    def __init__(self, config: DivergenceConfig) -> None:
        self.config = config
        self.losses: deque[float] = deque(maxlen=config.median_window)
        self.above = 0

    def add(self, loss: float) -> bool:
        """Take a step's loss; return whether the run has diverged."""
        if not self.config.patience:
            return False
        if len(self.losses) >= MIN_MEDIAN_WINDOW and loss > self.limit:
            self.above += 1
        else:
            self.above = 0
            self.losses.append(loss)
        return self.above >= self.config.patience

    @property
    def limit(self) -> float:
        """The highest loss that is not too high."""
        return self.config.factor * statistics.median(self.losses)


class Guard(L.Callback):
    """Stops a run whose loss or gradient is not finite, or that has diverged. Batches have ``ids``."""

    def __init__(self, config: DivergenceConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.divergence = Divergence(config)
        self.ids: list[list[str]] = []
        self.losses: list[Tensor] = []
        self.fresh = True

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Remove what an earlier attempt wrote: a run that goes on has not failed."""
        for path in self.folder.glob("failure*.json") if trainer.is_global_zero else ():
            path.unlink()

    def on_train_batch_start(
        self, trainer: L.Trainer, task: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember whose turn it is."""
        if self.fresh:
            self.ids, self.losses, self.fresh = [], [], False
        self.ids.append(list(batch.ids))

    def on_before_backward(self, trainer: L.Trainer, task: L.LightningModule, loss: Tensor) -> None:
        """Remember the loss; it is looked at once a step."""
        self.losses.append(loss.detach())

    def on_before_optimizer_step(
        self, trainer: L.Trainer, task: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Raise :class:`TrainingFailed` before the optimizer takes a gradient that is not finite."""
        self.fresh = True
        finite = [math.isfinite(float(loss)) for loss in self.losses]
        # in fp16 a gradient that is not finite tells the scaler to scale less, and is not taken
        broken = [] if scales(trainer) else not_finite(task)
        if all(finite) and not broken:
            return
        wrong = [ids for ids, is_finite in zip(self.ids, finite, strict=True) if not is_finite]
        what = (
            f"the loss is finite, but the gradient of {broken[0]} is not"
            if not wrong
            else "the loss is not finite"
        )
        self._fail(trainer, "not finite", what, wrong or self.ids, {"parameters": broken})

    def on_train_batch_end(
        self, trainer: L.Trainer, task: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Raise :class:`TrainingFailed` when the loss has been too high for too long."""
        loss = trainer.callback_metrics.get("train/loss")
        if not self.fresh or loss is None:
            return
        if self.divergence.add(float(loss)):
            above, limit = self.divergence.above, self.divergence.limit
            message = f"the loss has been above {limit:.3f} ({self.config.factor} times its median) for {above} steps"
            self._fail(trainer, "diverged", message, self.ids, {"loss": float(loss), "limit": limit})

    def state_dict(self) -> dict[str, Any]:
        """Return the losses that the median is of, so that a run that goes on is judged alike."""
        return {"losses": list(self.divergence.losses), "above": self.divergence.above}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        self.divergence.losses.extend(state_dict["losses"])
        self.divergence.above = state_dict["above"]

    def _fail(
        self, trainer: L.Trainer, kind: str, message: str, batches: list[list[str]], details: dict[str, Any]
    ) -> None:
        failure = Failure(kind, message, trainer.global_step, trainer.global_rank, batches, details)
        path = write_failure(self.folder, failure)
        ids = ", ".join(clip for batch in batches for clip in batch)
        raise TrainingFailed(
            f"training stopped at step {failure.step}: {message}; clips {ids}. Written to {path}; the last checkpoint is as it "
            f"was. Look at these clips, lower optim.learning_rate, or lengthen schedule.warmup_steps, and go on with resume=true"
        )


def scales(trainer: L.Trainer) -> bool:
    """Whether losses are scaled for fp16's range."""
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def not_finite(module: nn.Module) -> list[str]:
    """Return names of parameters (five at most) whose gradient is not finite; one wait for the device when
    all are.
    """
    gradients = {
        name: _own(weight.grad) for name, weight in module.named_parameters() if weight.grad is not None
    }
    if not gradients or bool(
        torch.stack(torch._foreach_norm(list(gradients.values()))).float().sum().isfinite()
    ):
        return []
    return [name for name, gradient in gradients.items() if not gradient.isfinite().all()][:NAMED]


def _own(gradient: Tensor) -> Tensor:
    """The part of a sharded gradient that is here."""
    local = getattr(gradient, "to_local", None)
    return gradient if local is None else local()
