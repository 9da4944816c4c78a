"""Lightning task that trains a Dia network on batches of delayed codes.

A step's gradient is that of the loss over all its targets, whatever ranks and micro-batches they came in:
each micro-batch gives the gradient of its weighted sum, and counts are added over all of them before the
optimizer steps. So 1 x 8 clips, 8 x 1 and 2 ranks x 4 train alike, which means of micro-batches would not.

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
from dia.training.loss import ChannelSums, channel_weights, weighted_loss
from dia.training.objectives import DelayedBatch, Objective
from dia.training.optimization import build_optimizer
from dia.training.schedule import build_schedule

# targets; dividing by what a batch usually has keeps gradients in fp16's range until the true count is known
USUAL_COUNT = 1000


class DiaModule(L.LightningModule):
    """Teacher forcing with the weighted loss; logs loss, cross-entropy and accuracy per channel, EOS, norm
    and rate.
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
        averaged: bool = False,
    ) -> None:
        super().__init__()
        self.network, self.objective, self.optim, self.schedule, self.steps = (
            network,
            objective,
            optim,
            schedule,
            steps,
        )
        weights = channel_weights(network.config.channels, first_channel_weight)
        self.register_buffer("weights_C", weights, persistent=False)
        self.seed, self.averaged = seed, averaged
        self.average: WeightAverage | None = None
        self.step_sums: ChannelSums | None = None
        self.validation_sums: ChannelSums | None = None

    def configure_model(self) -> None:
        """Spread the network over the processes, where the strategy has a mesh of them; then its average lies
        as it does.
        """
        if self.device_mesh is not None and not is_sharded(self.network):
            shard(self, self.network, self.device_mesh["data_parallel"])
        if self.averaged and self.average is None:
            self.average = WeightAverage(self.network)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave out what stands still: a run that goes on has it from where it started. Shards are kept
        whole.
        """
        if not is_sharded(self.network):
            for name in frozen(self.network):
                checkpoint["state_dict"].pop(f"network.{name}", None)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what was left out."""
        for name, weight in frozen(self.network).items():
            checkpoint.get("state_dict", {}).setdefault(f"network.{name}", weight)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimizer and its schedule, stepped every optimizer step."""
        optimizer = build_optimizer(self.network, self.optim)
        schedule = build_schedule(optimizer, self.schedule, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def forward(self, batch: DelayedBatch) -> ChannelSums:
        """Return the objective's sums over a batch."""
        return self.objective(self.network, batch)

    def on_train_batch_start(self, batch: DelayedBatch, index: int) -> None:
        """Seed what is random in a micro-batch, so that a run that goes on draws what it would have drawn."""
        micro = (
            self.trainer.global_step * self.trainer.accumulate_grad_batches
            + index % self.trainer.accumulate_grad_batches
        )
        torch.manual_seed((self.seed << 40) + micro * self.trainer.world_size + self.trainer.global_rank)

    def training_step(self, batch: DelayedBatch, index: int) -> Tensor:
        """Return the weighted sum of a micro-batch, whose gradient is made that of the loss before the
        optimizer steps.
        """
        sums: ChannelSums = self(batch)
        done = sums.detach()
        self.step_sums = done if self.step_sums is None else self.step_sums + done
        return (self.weights_C * sums.cross_entropy_C).sum() / (self.weights_C.sum() * USUAL_COUNT)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Make the gradient that of the loss over all targets of the step, clip it, and log the step."""
        assert self.step_sums is not None
        sums, self.step_sums = self._of_all_ranks(self.step_sums), None
        norm = scale_and_clip(self.network.parameters(), self._to_mean(sums), self.optim.max_grad_norm)
        figures, rate = self._figures("train", sums), float(optimizer.param_groups[0]["lr"])
        self.log_dict(
            {"train/loss": figures["train/loss"], "train/learning_rate": rate}, prog_bar=True, logger=False
        )
        step = self.trainer.global_step
        if (step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]  # set by its loggers' connector
            own = {"frames": float(sums.count_C[0]), "gradient_norm": float(norm), "learning_rate": rate}
            log_metrics_now(
                self.trainer, figures | {f"train/{name}": value for name, value in own.items()}, step
            )

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: torch.optim.Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Step, and let the gradients go: Lightning would keep them through the next forward pass, where
        memory is highest.
        """
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        optimizer.zero_grad(set_to_none=True)

    def _of_all_ranks(self, sums: ChannelSums) -> ChannelSums:
        """The sums of all ranks, on the CPU: one wait for the device, whatever is asked of them."""
        return sums.reduced(lambda tensor: self.trainer.strategy.reduce(tensor, reduce_op="sum").cpu())

    def _to_mean(self, sums: ChannelSums) -> float:
        """What makes the summed gradient that of the mean: undoes the means over micro-batches and ranks of
        those who add it.
        """
        counts = sums.count_C.tolist()
        assert min(counts) == max(counts) > 0, (
            "channels ask for the same number of targets: their clips' frames and one EOS each"
        )
        return self.trainer.accumulate_grad_batches * self.trainer.world_size * USUAL_COUNT / counts[0]

    def validation_step(self, batch: DelayedBatch, index: int) -> None:
        """Add a batch to the validation sums."""
        sums: ChannelSums = self(batch).detach()
        self.validation_sums = sums if self.validation_sums is None else self.validation_sums + sums

    def on_validation_epoch_end(self) -> None:
        """Log the loss over the whole validation split, by counts."""
        if self.validation_sums is None:
            return
        sums, self.validation_sums = self._of_all_ranks(self.validation_sums), None
        figures = self._figures("validation", sums)
        # for the bar and for callbacks; every rank has the same, and Lightning wants to hear that it may be
        # averaged
        for name, value in figures.items():
            self.log(name, value, prog_bar=name == "validation/loss", logger=False, sync_dist=True)
        log_metrics_now(self.trainer, figures, self.trainer.global_step - 1)

    def _figures(self, stage: str, sums: ChannelSums) -> dict[str, float]:
        """Loss, cross-entropy and accuracy by channel, and the EOS cross-entropy, by name."""
        count_C = sums.count_C.clamp_min(1)
        figures = {
            f"{stage}/loss": float(weighted_loss(sums, self.weights_C.cpu().double())),
            f"{stage}/eos": float(sums.eos_cross_entropy / sums.eos_count.clamp_min(1)),
        }
        for name, sums_C in (("cross_entropy", sums.cross_entropy_C), ("accuracy", sums.correct_C)):
            figures |= {
                f"{stage}/{name}/{channel}": value
                for channel, value in enumerate((sums_C / count_C).tolist())
            }
        return figures
