"""Exponential moving average (EMA) of the weights, validated and exported in place of the weights themselves.

The average is a submodule of the task, so it is part of its checkpoints, sharded as the weights are, and a
resumed run ends with the same average. The update is elementwise and needs no collective. It costs one more
copy of the trained weights.

This is our own code because Lightning's WeightAveraging (torch's AveragedModel) copies the whole module,
frozen weights included, and does not support sharded models (FSDP2).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor


def decay_at(step: int, decay: float) -> float:
    """Return the decay after ``step`` optimizer steps: (1 + step) / (10 + step), at most ``decay``."""
    return min(decay, (1 + step) / (10 + step))


class WeightAverage(nn.Module):
    """The average of a network's trainable weights, on the same devices and with the same shards.

    Create it when the network is on its final device.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(weight.detach().clone(), False) for weight in trainable(network)
        )

    @torch.no_grad()
    def update(self, network: nn.Module, decay: float) -> None:
        """Move the average towards the network's weights."""
        torch._foreach_lerp_(_local(self.weights), _local(trainable(network)), 1 - decay)

    @torch.no_grad()
    def swap(self, network: nn.Module) -> None:
        """Exchange the values of the average and of the network's weights."""
        for mean, weight in zip(_local(self.weights), _local(trainable(network)), strict=True):
            previous = weight.clone()
            weight.copy_(mean)
            mean.copy_(previous)


class ExponentialMovingAverage(L.Callback):
    """Updates the task's ``average`` after every optimizer step and swaps it in for every validation.

    It must be the last callback that reads the weights, so that the others generate and save with the
    average.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.last_step = 0
        self.swapped = False

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Start at the step that training starts or resumes at."""
        self.last_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, task: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the average after an optimizer step."""
        if trainer.global_step > self.last_step:
            self.last_step = trainer.global_step
            average, network = average_and_network(task)
            average.update(network, decay_at(self.last_step, self.decay))

    def on_validation_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Swap the average in."""
        self._swap(task)

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Swap the weights back in."""
        self._swap(task)

    def on_save_checkpoint(
        self, trainer: L.Trainer, task: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Exchange both in the state dict if a signal saves a checkpoint while the average is swapped in."""
        state = checkpoint.get("state_dict")  # empty on ranks that do not write
        if not self.swapped or not state:
            return
        names = [
            name for name, weight in average_and_network(task)[1].named_parameters() if weight.requires_grad
        ]
        for number, name in enumerate(names):
            weight, mean = f"network.{name}", f"average.weights.{number}"
            state[weight], state[mean] = state[mean], state[weight]

    def _swap(self, task: L.LightningModule) -> None:
        swap_weights(task)
        self.swapped = not self.swapped


@contextmanager
def averaged_weights(task: L.LightningModule) -> Iterator[None]:
    """Use the average instead of the weights inside the context, if the task has one."""
    if getattr(task, "average", None) is None:
        yield
        return
    swap_weights(task)
    try:
        yield
    finally:
        swap_weights(task)


def swap_weights(task: L.LightningModule) -> None:
    """Exchange the values of a task's weights and of their average; every rank must call it."""
    for module in task.modules():
        if isinstance(module, FSDPModule):
            module.reshard()  # parameters gathered earlier would stay in use
    average, network = average_and_network(task)
    average.swap(network)


def trainable(network: nn.Module) -> list[nn.Parameter]:
    """Return the weights with gradients, in order."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def average_and_network(task: L.LightningModule) -> tuple[WeightAverage, nn.Module]:
    """Return the average and the network of a task that has both."""
    return cast(WeightAverage, task.average), cast(nn.Module, task.network)


def _local(weights: Iterable[Tensor]) -> list[Tensor]:
    """Return the local shard of each weight; it shares the weight's memory."""
    return [weight.to_local() if isinstance(weight, DTensor) else weight.data for weight in weights]
