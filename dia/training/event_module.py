"""Lightning module that trains the head of a detector of nonverbal sounds on frames with known sounds.

Legend: B batch, T frames, F features, S tags.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import IterableDataset

from dia.config.optimizer import OptimConfig, ScheduleConfig
from dia.judges.event_head import EventHead
from dia.training.schedule import build_schedule


@dataclass(frozen=True)
class LabelledFrames:
    """A clip: its features, float16 (T, F), and which tags sound in each frame, bool (T, S)."""

    features_TF: NDArray[np.float16]
    labels_TS: NDArray[np.bool_]


class TrainingWindows(IterableDataset[tuple[Tensor, Tensor]]):
    """Batches of random windows for the steps ``start`` to ``stop`` (exclusive); a step decides its batch."""

    def __init__(
        self, clips: Sequence[LabelledFrames], size: int, frames: int, seed: int, start: int, stop: int
    ) -> None:
        self.clips, self.size, self.frames, self.seed = clips, size, frames, seed
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(self.start, self.stop):
            random = np.random.default_rng((self.seed, step))
            windows = [self._window(random) for _ in range(self.size)]
            features, labels = zip(*windows, strict=True)
            yield torch.from_numpy(np.stack(features)).float(), torch.from_numpy(np.stack(labels)).float()

    def _window(self, random: np.random.Generator) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
        clip = self.clips[int(random.integers(len(self.clips)))]
        first = int(random.integers(len(clip.features_TF) - self.frames + 1))
        return clip.features_TF[first : first + self.frames], clip.labels_TS[first : first + self.frames]


class EventModule(L.LightningModule):
    """Trains an :class:`EventHead` by binary cross-entropy of every tag in every frame."""

    def __init__(
        self,
        head: EventHead,
        optim: OptimConfig,
        schedule: ScheduleConfig,
        steps: int,
        positive_weight: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.head, self.optim, self.schedule = head, optim, schedule
        self.steps, self.positive_weight, self.seed = steps, positive_weight, seed

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return AdamW and the schedule, which advances every step."""
        optimizer = torch.optim.AdamW(
            self.head.parameters(),
            lr=self.optim.learning_rate,
            betas=(self.optim.beta1, self.optim.beta2),
            weight_decay=self.optim.weight_decay,
        )
        schedule = build_schedule(optimizer, self.schedule, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Seed torch for each step, so that a resumed run draws the same dropout."""
        torch.manual_seed((self.seed << 40) + self.trainer.global_step)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Return the loss of features (B, T, F) and labels (B, T, S)."""
        loss = self._loss(*batch)
        self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Log the loss of a clip of people that training does not have."""
        self.log("validation/loss", self._loss(*batch), on_epoch=True, prog_bar=True, batch_size=1)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient."""
        if self.optim.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(self.head.parameters(), self.optim.max_grad_norm)

    def _loss(self, features_BTF: Tensor, labels_BTS: Tensor) -> Tensor:
        weight = torch.tensor(self.positive_weight, device=features_BTF.device)
        return F.binary_cross_entropy_with_logits(self.head(features_BTF), labels_BTS, pos_weight=weight)
