"""An exponential moving average of the weights, which is validated, heard and exported in place of the
weights themselves.

The average is a part of the task, so it lies in its checkpoints, in shards where the weights do, and a run
that goes on ends with the same. It is elementwise: a rank moves its own shard and asks nobody. Cost: one more
copy of the trained weights.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor


def decay_at(step: int, decay: float) -> float:
    """Return the decay after ``step`` optimizer steps: that of a plain mean at first, ``decay`` once this is
    longer.
    """
    return min(decay, (1 + step) / (10 + step))


class WeightAverage(nn.Module):
    """The average of a network's trained weights, placed and sharded as these are. Build it when they lie
    where they stay.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(weight.detach().clone(), False) for weight in trained(network)
        )

    @torch.no_grad()
    def update(self, network: nn.Module, decay: float) -> None:
        """Move the average towards the network's weights."""
        torch._foreach_lerp_(_local(self.weights), _local(trained(network)), 1 - decay)

    @torch.no_grad()
    def swap(self, network: nn.Module) -> None:
        """Exchange the values of the average and of the network's weights."""
        for mean, weight in zip(_local(self.weights), _local(trained(network)), strict=True):
            kept = weight.clone()
            weight.copy_(mean)
            mean.copy_(kept)


class ExponentialMovingAverage(L.Callback):
    """Moves the task's ``average`` after every optimizer step and puts it in place of the weights for every
    validation.

    It must be the last of the callbacks that look at the weights: what is heard and saved at the end of a
    validation is averaged.
    """

    def __init__(self, decay: float) -> None:
        self.decay, self.seen, self.swapped = decay, 0, False

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Know the step that training begins at."""
        self.seen = trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, task: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the average when the optimizer has stepped."""
        if trainer.global_step > self.seen:
            self.seen = trainer.global_step
            average, network = parts(task)
            average.update(network, decay_at(self.seen, self.decay))

    def on_validation_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Put the average in the weights' place."""
        self._swap(task)

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Put the weights back."""
        self._swap(task)

    def on_save_checkpoint(
        self, trainer: L.Trainer, task: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save weights as weights, even when a signal asks for a checkpoint while the average is in their
        place.
        """
        state = checkpoint.get("state_dict")  # empty on ranks that do not write
        if not self.swapped or not state:
            return
        names = [name for name, weight in parts(task)[1].named_parameters() if weight.requires_grad]
        for number, name in enumerate(names):
            own, mean = f"network.{name}", f"average.weights.{number}"
            state[own], state[mean] = state[mean], state[own]

    def _swap(self, task: L.LightningModule) -> None:
        exchange(task)
        self.swapped = not self.swapped


@contextmanager
def averaged(task: L.LightningModule) -> Iterator[None]:
    """The average, if the task has one, in the weights' place for a while."""
    if getattr(task, "average", None) is None:
        yield
        return
    exchange(task)
    try:
        yield
    finally:
        exchange(task)


def exchange(task: L.LightningModule) -> None:
    """Exchange the values of a task's weights and of their average; called on every rank."""
    for module in task.modules():
        if isinstance(module, FSDPModule):
            module.reshard()  # what was gathered before would go on being used
    average, network = parts(task)
    average.swap(network)


def trained(network: nn.Module) -> list[nn.Parameter]:
    """Return the weights that are trained, in order."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def parts(task: L.LightningModule) -> tuple[WeightAverage, nn.Module]:
    """Return the average and the network of a task that has both."""
    return cast(WeightAverage, task.average), cast(nn.Module, task.network)


def _local(weights: Any) -> list[Tensor]:
    """The part of each weight that lies here; it shares its memory."""
    return [weight.to_local() if isinstance(weight, DTensor) else weight.data for weight in weights]
