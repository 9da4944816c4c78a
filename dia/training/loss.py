"""The loss: cross-entropy per codec channel as sums and counts, PAD and BOS masked, channels weighted.

Sums and counts stay separate until the end, so that they can be added over batches, micro-batches and ranks
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
    """Sums over targets: cross-entropy in nats (C,), correct (C,), count (C,), and EOS of channel 0."""

    cross_entropy_C: Tensor
    correct_C: Tensor
    count_C: Tensor
    eos_cross_entropy: Tensor
    eos_count: Tensor

    def __add__(self, other: "ChannelSums") -> "ChannelSums":
        return ChannelSums(*[a + b for a, b in zip(self._all(), other._all(), strict=True)])

    def detach(self) -> "ChannelSums":
        """Return the sums without gradient in float64, in which counts stay exact."""
        return ChannelSums(*[tensor.detach().double() for tensor in self._all()])

    def all_reduced(self, all_reduce: Callable[[Tensor], Tensor]) -> "ChannelSums":
        """Return the sums over all ranks; ``all_reduce`` sums one tensor over ranks and is called once."""
        flat = torch.cat([tensor.reshape(-1) for tensor in self._all()])
        pieces = all_reduce(flat).split([tensor.numel() for tensor in self._all()])
        shaped = [piece.view_as(tensor) for piece, tensor in zip(pieces, self._all(), strict=True)]
        return ChannelSums(*shaped)

    def _all(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]


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
