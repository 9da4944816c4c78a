"""A callback that stops training on a loss or gradient that is not finite, or on divergence.

It names the clips of the step, writes `failure.json` to the run folder, and leaves the last good checkpoint
untouched. A value that is not finite is detected before the optimizer applies it; a loss counts as diverged
when it stays far above its running median. Both raise :class:`TrainingFailed`, exit code 2. A data loader
that stalls is the watchdog's case (dia/training/callbacks/watchdog.py).
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
NAMED_PARAMETERS = 5


class TrainingFailed(UserError):
    """Training cannot continue; the message names the step, the clips and the remedy."""


@dataclass(frozen=True)
class Failure:
    """Content of `failure.json`; ``batches`` are clip ids by micro-batch, only faulty ones if known."""

    kind: str
    message: str
    step: int
    rank: int
    batches: list[list[str]]
    details: dict[str, Any] = field(default_factory=dict)


def write_failure(folder: Path, failure: Failure) -> Path:
    """Write a failure to the run folder: `failure.json` on rank 0, `failure-<rank>.json` on the others."""
    path = folder / (FAILURE if failure.rank == 0 else f"failure-{failure.rank}.json")
    write_text(path, json.dumps(asdict(failure), indent=2) + "\n")
    return path


class LossMonitor:
    """Counts consecutive losses that lie too far above the median of the earlier ones."""

    def __init__(self, config: DivergenceConfig) -> None:
        self.config = config
        self.losses: deque[float] = deque(maxlen=config.median_window)
        self.above = 0

    def add(self, loss: float) -> bool:
        """Add the loss of a step; return whether the run has diverged."""
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
        """The highest loss that is acceptable now."""
        return self.config.factor * statistics.median(self.losses)


class DivergenceGuard(L.Callback):
    """Stops a run whose loss or gradient is not finite, or that has diverged. Batches must have ``ids``."""

    def __init__(self, config: DivergenceConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.monitor = LossMonitor(config)
        self.ids: list[list[str]] = []
        self.losses: list[Tensor] = []
        self.step_complete = True

    @property
    def state_key(self) -> str:
        """The name of its state in checkpoints, which earlier versions wrote as well."""
        return "Guard"

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Remove the failure files of an earlier attempt."""
        for path in self.folder.glob("failure*.json") if trainer.is_global_zero else ():
            path.unlink()

    def on_train_batch_start(
        self, trainer: L.Trainer, task: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Record the clip ids of a micro-batch."""
        if self.step_complete:
            self.ids, self.losses, self.step_complete = [], [], False
        self.ids.append(list(batch.ids))

    def on_before_backward(self, trainer: L.Trainer, task: L.LightningModule, loss: Tensor) -> None:
        """Record the loss without a device synchronization; it is checked once a step."""
        self.losses.append(loss.detach())

    def on_before_optimizer_step(
        self, trainer: L.Trainer, task: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Raise :class:`TrainingFailed` before the optimizer applies a gradient that is not finite."""
        self.step_complete = True
        finite = [math.isfinite(float(loss)) for loss in self.losses]
        # in fp16 a gradient that is not finite makes the gradient scaler lower its scale and skip the step
        parameters = [] if has_grad_scaler(trainer) else non_finite_gradients(task)
        if all(finite) and not parameters:
            return
        faulty = [ids for ids, is_finite in zip(self.ids, finite, strict=True) if not is_finite]
        message = "the loss is not finite"
        if not faulty:
            message = f"the loss is finite, but the gradient of {parameters[0]} is not"
        self._fail(trainer, "not finite", message, faulty or self.ids, {"parameters": parameters})

    def on_train_batch_end(
        self, trainer: L.Trainer, task: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Raise :class:`TrainingFailed` when the loss has been too high for too many steps."""
        loss = trainer.callback_metrics.get("train/loss")
        if not self.step_complete or loss is None:
            return
        if self.monitor.add(float(loss)):
            limit = self.monitor.limit
            message = (
                f"the loss has been above {limit:.3f} ({self.config.factor} times its median) "
                f"for {self.monitor.above} steps"
            )
            self._fail(trainer, "diverged", message, self.ids, {"loss": float(loss), "limit": limit})

    def state_dict(self) -> dict[str, Any]:
        """Return the recent losses, so that a resumed run applies the same limit."""
        return {"losses": list(self.monitor.losses), "above": self.monitor.above}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the recent losses."""
        self.monitor.losses.extend(state_dict["losses"])
        self.monitor.above = state_dict["above"]

    def _fail(
        self, trainer: L.Trainer, kind: str, message: str, batches: list[list[str]], details: dict[str, Any]
    ) -> None:
        failure = Failure(kind, message, trainer.global_step, trainer.global_rank, batches, details)
        path = write_failure(self.folder, failure)
        ids = ", ".join(clip for batch in batches for clip in batch)
        raise TrainingFailed(
            f"training stopped at step {failure.step}: {message}; clips {ids}. Details are in {path}; the "
            "last checkpoint is unchanged. Inspect these clips, lower optim.learning_rate, or lengthen "
            "schedule.warmup_steps, and resume with resume=true"
        )


def has_grad_scaler(trainer: L.Trainer) -> bool:
    """Return whether losses are scaled for the range of fp16."""
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def non_finite_gradients(module: nn.Module) -> list[str]:
    """Return names of at most five parameters whose gradient is not finite."""
    gradients = {
        name: _local(weight.grad) for name, weight in module.named_parameters() if weight.grad is not None
    }
    if not gradients:
        return []
    norms = torch.stack(torch._foreach_norm(list(gradients.values())))
    if bool(norms.float().sum().isfinite()):
        return []
    names = [name for name, gradient in gradients.items() if not gradient.isfinite().all()]
    return names[:NAMED_PARAMETERS]


def _local(gradient: Tensor) -> Tensor:
    """Return the local shard of a gradient."""
    to_local = getattr(gradient, "to_local", None)
    return gradient if to_local is None else to_local()
