"""The loss: cross-entropy per codec channel as sums and counts, PAD and BOS masked, channels weighted.

Sums and counts stay separate until the end, so that they can be added over batches, micro-batches and ranks
without bias.

Legend: B clip, T step, C codec channel, V ids per channel.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor


class LossSums(ABC):
    """Sums of an objective over its samples, and their number; a dataclass of tensors.

    The loss of an optimizer step is the sum of :meth:`total` by the sum of :attr:`count`, each over all
    micro-batches and ranks.
    """

    counted: ClassVar[str] = "samples"
    """What ``count`` counts, in the name of a metric."""

    @property
    @abstractmethod
    def count(self) -> Tensor:
        """The number of samples ()."""

    @abstractmethod
    def total(self, weights_C: Tensor) -> Tensor:
        """Return the sum () that training minimizes, with the weights (C,) of the channels."""

    @abstractmethod
    def metrics(self, weights_C: Tensor) -> dict[str, float]:
        """Return the means by name, `loss` among them; only of detached sums."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*[a + b for a, b in zip(self._all(), other._all(), strict=True)])

    def detach(self) -> Self:
        """Return the sums without gradient in float64, in which counts stay exact."""
        return type(self)(*[tensor.detach().double() for tensor in self._all()])

    def all_reduced(self, all_reduce: Callable[[Tensor], Tensor]) -> Self:
        """Return the sums over all ranks; ``all_reduce`` sums one tensor over ranks and is called once."""
        flat = torch.cat([tensor.reshape(-1) for tensor in self._all()])
        pieces = all_reduce(flat).split([tensor.numel() for tensor in self._all()])
        shaped = [piece.view_as(tensor) for piece, tensor in zip(pieces, self._all(), strict=True)]
        return type(self)(*shaped)

    def _all(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]  # type: ignore[arg-type]  # a dataclass


@dataclass
class ChannelSums(LossSums):
    """Sums over targets: cross-entropy in nats (C,), correct (C,), count (C,), and EOS of channel 0."""

    cross_entropy_C: Tensor
    correct_C: Tensor
    count_C: Tensor
    eos_cross_entropy: Tensor
    eos_count: Tensor

    counted = "frames"

    @property
    def count(self) -> Tensor:
        """The number of targets of a channel, which all channels share: all frames and one EOS a clip."""
        return self.count_C[0]

    def total(self, weights_C: Tensor) -> Tensor:
        """Return the weighted mean over channels of their summed cross-entropies."""
        return (weights_C * self.cross_entropy_C).sum() / weights_C.sum()

    def metrics(self, weights_C: Tensor) -> dict[str, float]:
        """Return the loss, cross-entropy and accuracy by channel, and the cross-entropy of EOS."""
        count_C = self.count_C.clamp_min(1)
        metrics = {
            "loss": float(weighted_loss(self, weights_C)),
            "eos": float(self.eos_cross_entropy / self.eos_count.clamp_min(1)),
        }
        for name, sums_C in (("cross_entropy", self.cross_entropy_C), ("accuracy", self.correct_C)):
            values = (sums_C / count_C).tolist()
            metrics |= {f"{name}/{channel}": value for channel, value in enumerate(values)}
        return metrics


def channel_sums(logits_BTCV: Tensor, targets_BTC: Tensor, eos: int) -> ChannelSums:
    """Return the sums over all targets that are a code or EOS; ids above EOS (PAD, BOS) are masked.

    EOS is counted separately in channel 0 only, because channel 0 alone ends generation at inference.
    """
    valid_BTC = targets_BTC <= eos
    logits_BTCV = logits_BTCV.to(torch.promote_types(logits_BTCV.dtype, torch.float32))
    cross_entropy_BTC = F.cross_entropy(logits_BTCV.flatten(0, 2), targets_BTC.flatten(), reduction="none")
    cross_entropy_BTC = cross_entropy_BTC.view_as(targets_BTC) * valid_BTC
    correct_BTC = (logits_BTCV.detach().argmax(-1) == targets_BTC) & valid_BTC
    is_eos_BT = targets_BTC[..., 0] == eos
    return ChannelSums(
        cross_entropy_BTC.sum((0, 1)),
        correct_BTC.sum((0, 1)),
        valid_BTC.sum((0, 1)),
        (cross_entropy_BTC[..., 0] * is_eos_BT).sum().detach(),
        is_eos_BT.sum(),
    )


def channel_weights(channels: int, first: float) -> Tensor:
    """Return weights (C,): ``first`` for channel 0 (the community trains Dia with 4), 1 for the others."""
    weights = torch.ones(channels)
    weights[0] = first
    return weights


def weighted_loss(sums: ChannelSums, weights_C: Tensor) -> Tensor:
    """Return the weighted mean over channels of each channel's mean cross-entropy, in nats."""
    means_C = sums.cross_entropy_C / sums.count_C.clamp_min(1)
    return (weights_C * means_C).sum() / weights_C.sum()
