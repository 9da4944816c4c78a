"""Lightning module that trains a Dia network on batches of delayed codes.

The gradient of an optimizer step is that of the mean loss over all its targets, however these are divided
among ranks and micro-batches: each micro-batch contributes the gradient of its weighted sum, and counts are
added over all of them before the optimizer steps. Hence 1 x 8 clips, 8 x 1 and 2 ranks x 4 train alike; the
mean of micro-batch means, Lightning's default, would not. For the same reason gradients are clipped here.

Legend: B clip, T step, C codec channel.
"""

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from dia.config.optimizer import OptimConfig, ScheduleConfig
from dia.network import DiaNetwork
from dia.training.callbacks.ema import WeightAverage
from dia.training.distributed import is_sharded, shard
from dia.training.grad_clipping import scale_and_clip
from dia.training.loggers import log_metrics_now
from dia.training.lora import frozen
from dia.training.loss import LossSums, channel_weights
from dia.training.objectives import DelayedBatch, Objective
from dia.training.optimizers import build_optimizer
from dia.training.schedule import build_schedule

# Usual targets of a micro-batch: dividing by it keeps gradients in fp16's range until the true count is known
USUAL_COUNT = 1000


class DiaModule(L.LightningModule):
    """Trains a network on an objective; logs loss, metrics per channel, gradient norm and rate.

    ``use_ema`` adds a :class:`WeightAverage`, which the callback of dia/training/callbacks/ema.py updates.
    """

    weights_C: Tensor

    def __init__(
        self,
        network: DiaNetwork,
        objective: Objective,
        optim: OptimConfig,
        schedule: ScheduleConfig,
        steps: int,
        first_channel_weight: float,
        seed: int = 0,
        *,
        use_ema: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.optim = optim
        self.schedule = schedule
        self.steps = steps
        self.seed = seed
        self.use_ema = use_ema
        weights = channel_weights(network.config.channels, first_channel_weight)
        self.register_buffer("weights_C", weights, persistent=False)
        self.average: WeightAverage | None = None  # its name is part of the checkpoint format
        self.step_sums: LossSums | None = None
        self.validation_sums: LossSums | None = None

    def configure_model(self) -> None:
        """Shard the network if the strategy has a device mesh, then create the average in the same layout."""
        if self.device_mesh is not None and not is_sharded(self.network):
            shard(self, self.network, self.device_mesh["data_parallel"])
        if self.use_ema and self.average is None:
            self.average = WeightAverage(self.network)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Omit frozen weights, which a resumed run has from its initial checkpoint; not from shards."""
        if not is_sharded(self.network):
            for name in frozen(self.network):
                checkpoint["state_dict"].pop(f"network.{name}", None)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the frozen weights that were omitted."""
        for name, weight in frozen(self.network).items():
            checkpoint.get("state_dict", {}).setdefault(f"network.{name}", weight)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimizer and the schedule, which advances every optimizer step."""
        optimizer = build_optimizer(self.network, self.optim)
        schedule = build_schedule(optimizer, self.schedule, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def forward(self, batch: DelayedBatch) -> LossSums:
        """Return the objective's sums over a batch, in training or in validation."""
        if self.training:
            return self.objective(self.network, batch)
        return self.objective.validation_sums(self.network, batch)

    def on_train_batch_start(self, batch: DelayedBatch, index: int) -> None:
        """Seed torch for each micro-batch, so that a resumed run draws the same numbers."""
        accumulated = self.trainer.accumulate_grad_batches
        micro_batch = self.trainer.global_step * accumulated + index % accumulated
        torch.manual_seed(
            (self.seed << 40) + micro_batch * self.trainer.world_size + self.trainer.global_rank
        )

    def training_step(self, batch: DelayedBatch, index: int) -> Tensor:
        """Return the weighted sum of a micro-batch; it is divided by the count before the optimizer steps."""
        sums: LossSums = self(batch)
        detached = sums.detach()
        self.step_sums = detached if self.step_sums is None else self.step_sums + detached
        return sums.total(self.weights_C) / USUAL_COUNT

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradient by the count of all targets of the step, clip it, and log the step."""
        assert self.step_sums is not None
        sums, self.step_sums = self._over_all_ranks(self.step_sums), None
        norm = scale_and_clip(self.network.parameters(), self._mean_factor(sums), self.optim.max_grad_norm)
        metrics = self._metrics("train", sums)
        learning_rate = float(optimizer.param_groups[0]["lr"])
        self.log_dict(
            {"train/loss": metrics["train/loss"], "train/learning_rate": learning_rate},
            prog_bar=True,
            logger=False,
        )
        step = self.trainer.global_step
        if (step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]  # set by its loggers' connector
            metrics |= {
                f"train/{sums.counted}": float(sums.count),
                "train/gradient_norm": float(norm),
                "train/learning_rate": learning_rate,
            }
            log_metrics_now(self.trainer, metrics, step)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: torch.optim.Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Step, then free the gradients.

        Lightning would hold them through the next forward pass, where memory use is highest.
        """
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        optimizer.zero_grad(set_to_none=True)

    def _over_all_ranks(self, sums: LossSums) -> LossSums:
        """Return the sums of all ranks on the CPU, with a single device synchronization."""
        return sums.all_reduced(lambda tensor: self.trainer.strategy.reduce(tensor, reduce_op="sum").cpu())

    def _mean_factor(self, sums: LossSums) -> float:
        """Return the factor from the accumulated gradient to that of the mean over samples.

        It undoes the means over micro-batches and ranks that Lightning and DDP apply.
        """
        count = float(sums.count)
        assert count > 0, "a step has samples"
        return self.trainer.accumulate_grad_batches * self.trainer.world_size * USUAL_COUNT / count

    def validation_step(self, batch: DelayedBatch, index: int) -> None:
        """Add a batch to the validation sums."""
        sums: LossSums = self(batch).detach()
        self.validation_sums = sums if self.validation_sums is None else self.validation_sums + sums

    def on_validation_epoch_end(self) -> None:
        """Log the loss over the whole validation split, weighted by counts."""
        if self.validation_sums is None:
            return
        sums, self.validation_sums = self._over_all_ranks(self.validation_sums), None
        metrics = self._metrics("validation", sums)
        # for callbacks; every rank holds the same values, sync_dist only avoids Lightning's warning
        for name, value in metrics.items():
            self.log(name, value, prog_bar=name == "validation/loss", logger=False, sync_dist=True)
        log_metrics_now(self.trainer, metrics, self.trainer.global_step - 1)

    def _metrics(self, stage: str, sums: LossSums) -> dict[str, float]:
        """Return the means of the sums by the name of their metric."""
        weights_C = self.weights_C.cpu().double()
        return {f"{stage}/{name}": value for name, value in sums.metrics(weights_C).items()}
