"""The loss: cross-entropy per channel, by counts, PAD and BOS masked, channels weighted.

Sums and counts stay apart until the end, so that they can be added over batches, micro-batches and ranks
without bias.

Legend: B clip, T step, C codec channel, V ids per channel.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass
class ChannelSums:
    """Sums over targets, each (C,): cross-entropy in nats, correct guesses, targets; and the EOS part of
    channel 0.
    """

    cross_entropy_C: Tensor
    correct_C: Tensor
    count_C: Tensor
    eos_cross_entropy: Tensor
    eos_count: Tensor

    def __add__(self, other: "ChannelSums") -> "ChannelSums":
        return ChannelSums(*[a + b for a, b in zip(self._all(), other._all(), strict=True)])

    def detach(self) -> "ChannelSums":
        """Return the same sums without a gradient, in float64: counts stay exact however many are added."""
        return ChannelSums(*[tensor.detach().double() for tensor in self._all()])

    def reduced(self, add: Callable[[Tensor], Tensor]) -> "ChannelSums":
        """Return the sums over all ranks; ``add`` adds one tensor over them, and is called once."""
        flat = torch.cat([tensor.reshape(-1) for tensor in self._all()])
        parts = add(flat).split([tensor.numel() for tensor in self._all()])
        return ChannelSums(*[part.view_as(tensor) for part, tensor in zip(parts, self._all(), strict=True)])

    def _all(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]


def channel_sums(logits_BTCV: Tensor, targets_BTC: Tensor, eos: int) -> ChannelSums:
    """Return the sums over all targets that are a code or EOS; the ids above EOS (PAD, BOS) ask for nothing.

    EOS is counted apart in channel 0 only, because only channel 0 decides at inference when speech ends.
    """
    asked_BTC = targets_BTC <= eos
    logits_BTCV = logits_BTCV.to(torch.promote_types(logits_BTCV.dtype, torch.float32))
    cross_entropy_BTC = F.cross_entropy(logits_BTCV.flatten(0, 2), targets_BTC.flatten(), reduction="none")
    cross_entropy_BTC = cross_entropy_BTC.view_as(targets_BTC) * asked_BTC
    correct_BTC = (logits_BTCV.detach().argmax(-1) == targets_BTC) & asked_BTC
    ends_BT = targets_BTC[..., 0] == eos
    return ChannelSums(
        cross_entropy_BTC.sum((0, 1)),
        correct_BTC.sum((0, 1)),
        asked_BTC.sum((0, 1)),
        (cross_entropy_BTC[..., 0] * ends_BT).sum().detach(),
        ends_BT.sum(),
    )


def channel_weights(channels: int, first: float) -> Tensor:
    """Return weights (C,): ``first`` for channel 0, 1 for the others. The community trains Dia with 4."""
    weights = torch.ones(channels)
    weights[0] = first
    return weights


def weighted_loss(sums: ChannelSums, weights_C: Tensor) -> Tensor:
    """Return the weighted mean over channels of each channel's mean cross-entropy, in nats."""
    means_C = sums.cross_entropy_C / sums.count_C.clamp_min(1)
    return (weights_C * means_C).sum() / weights_C.sum()
