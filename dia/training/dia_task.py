"""Lightning task that trains a Dia network on batches of delayed codes.

Legend: B clip, T step, C codec channel.
"""

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from dia.network import DiaNetwork
from dia.training.loss import ChannelSums, channel_weights, weighted_loss
from dia.training.objective import DelayedBatch, Objective
from dia.training.optimization import OptimConfig, ScheduleConfig, build_optimizer, build_schedule


class DiaTask(L.LightningModule):
    """Teacher forcing with the weighted loss; logs loss, cross-entropy and accuracy per channel, EOS, norm and rate."""

    weights_C: Tensor

    def __init__(
        self,
        network: DiaNetwork,
        objective: Objective,
        optim: OptimConfig,
        schedule: ScheduleConfig,
        steps: int,
        first_channel_weight: float,
    ) -> None:
        super().__init__()
        self.network, self.objective, self.optim, self.schedule, self.steps = network, objective, optim, schedule, steps
        weights = channel_weights(network.config.channels, first_channel_weight)
        self.register_buffer("weights_C", weights, persistent=False)
        self.validation_sums: ChannelSums | None = None

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimizer and its schedule, stepped every optimizer step."""
        optimizer = build_optimizer(self.network, self.optim)
        schedule = build_schedule(optimizer, self.schedule, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def forward(self, batch: DelayedBatch) -> ChannelSums:
        """Return the objective's sums over a batch."""
        return self.objective(self.network, batch)

    def training_step(self, batch: DelayedBatch, index: int) -> Tensor:
        """Return the loss of a batch, in nats."""
        sums: ChannelSums = self(batch)
        loss = weighted_loss(sums, self.weights_C)
        self.log("train/loss", loss.detach(), prog_bar=True)
        self.log_dict(self._logged("train", sums))
        self.log("train/frames", batch.targets_BTC.shape[0] * batch.targets_BTC.shape[1] * 1.0)
        return loss

    def validation_step(self, batch: DelayedBatch, index: int) -> None:
        """Add a batch to the validation sums."""
        sums: ChannelSums = self(batch)
        self.validation_sums = sums if self.validation_sums is None else self.validation_sums + sums

    def on_validation_epoch_end(self) -> None:
        """Log the loss over the whole validation split, by counts."""
        if self.validation_sums is None:
            return
        self.log("validation/loss", weighted_loss(self.validation_sums, self.weights_C), prog_bar=True)
        self.log_dict(self._logged("validation", self.validation_sums))
        self.validation_sums = None

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Log the gradient's norm before clipping and the learning rate that the optimizer itself holds."""
        norms = [parameter.grad.norm() for parameter in self.network.parameters() if parameter.grad is not None]
        self.log("train/gradient_norm", torch.stack(norms).norm())
        self.log("train/learning_rate", optimizer.param_groups[0]["lr"])

    def _logged(self, stage: str, sums: ChannelSums) -> dict[str, Tensor]:
        """Cross-entropy and accuracy by channel, and the EOS cross-entropy, by name."""
        count_C = sums.count_C.clamp_min(1)
        logged = {f"{stage}/eos": sums.eos_cross_entropy / sums.eos_count.clamp_min(1)}
        for channel in range(len(count_C)):
            logged[f"{stage}/cross_entropy/{channel}"] = sums.cross_entropy_C[channel].detach() / count_C[channel]
            logged[f"{stage}/accuracy/{channel}"] = sums.correct_C[channel] / count_C[channel]
        return logged
