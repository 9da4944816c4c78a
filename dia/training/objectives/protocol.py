"""The interface of a training objective, and of the batches that it reads.

Legend: B clip, S text byte, T step, C codec channel.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol, Self

from torch import Tensor, nn

from dia.config.choices import TrainingData
from dia.config.sampling import Sampling
from dia.config.train import TrainConfig
from dia.network import DiaNetwork
from dia.network.packing import Packing
from dia.training.loss import LossSums


class DelayedBatch(Protocol):
    """What an objective reads: text ids and mask (B, S), delayed inputs and targets (B, T, C).

    A batch with ``packing`` has one row (B = 1) with all clips one after another.
    """

    text_BS: Tensor
    text_mask_BS: Tensor
    inputs_BTC: Tensor
    targets_BTC: Tensor
    packing: Packing | None


class Objective(ABC):
    """Maps a network and a batch to the sums that training minimizes."""

    needs_checkpoint: ClassVar[bool] = False
    """Whether it is defined only for a run that starts from a checkpoint (`init_from`)."""
    reads_sampling: ClassVar[bool] = False
    """Whether the weights depend on the config's `sampling`."""
    takes_packed: ClassVar[bool] = False
    """Whether it takes packed batches (`batch.packed`); else it needs each clip in a row of its own."""
    takes_alignment: ClassVar[bool] = False
    """Whether it adds the alignment loss (`alignment`)."""
    teacher_passes: ClassVar[int] = 0
    """Forward passes of the teachers for each batch, which the planner counts."""

    reads: ClassVar[TrainingData] = TrainingData.clips
    """What a batch of its training data holds."""

    @classmethod
    def from_config(cls, config: TrainConfig, network: DiaNetwork) -> Self:
        """Create the objective of a run; ``network`` holds its initial weights, without adapters."""
        return cls()

    @classmethod
    def problems(cls, config: TrainConfig) -> list[str]:
        """Return which keys of a config do not fit the objective, one sentence each with its remedy."""
        return []

    @classmethod
    def inference_sampling(cls, sampling: Sampling) -> Sampling:
        """Return the sampling with which the trained network generates."""
        return sampling

    def validation_sums(self, network: DiaNetwork, batch: DelayedBatch) -> LossSums:
        """Return the sums over a batch of the validation split; by default those of training."""
        return self(network, batch)

    @property
    def teachers(self) -> tuple[nn.Module, ...]:
        """Frozen networks that it holds beside the trained one."""
        return ()

    @abstractmethod
    def __call__(self, network: DiaNetwork, batch: DelayedBatch) -> LossSums:
        """Return the sums over a batch's samples; the gradient flows from their ``total`` only.

        Nothing is normalized here: the counts are known only when those of all ranks and micro-batches are
        added (dia/training/dia_module.py).
        """
