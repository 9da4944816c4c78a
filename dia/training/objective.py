"""Objectives: what a network is asked for on a batch. One is called with (network, batch) and returns sums and counts.

The sums are differentiable in ``cross_entropy_C``; nothing is normalised here, because counts are only known when those of
all ranks and micro-batches are added (dia/training/dia_task.py).

Legend: B clip, S text byte, T step, C codec channel.
"""

from typing import Protocol

from torch import Tensor

from dia.network import DiaNetwork
from dia.training.loss import ChannelSums, channel_sums


class DelayedBatch(Protocol):
    """What an objective reads of a batch: text ids and mask (B, S), delayed inputs and targets (B, T, C)."""

    text_BS: Tensor
    text_mask_BS: Tensor
    inputs_BTC: Tensor
    targets_BTC: Tensor


class Objective(Protocol):
    """What training minimises."""

    def __call__(self, network: DiaNetwork, batch: DelayedBatch) -> ChannelSums:
        """Return the sums over a batch's targets; a gradient flows from ``cross_entropy_C``, whatever it measures."""
        ...


class CrossEntropy:
    """Teacher forcing: the cross-entropy of every code and EOS that follows."""

    def __call__(self, network: DiaNetwork, batch: DelayedBatch) -> ChannelSums:
        """Return the sums over a batch's targets."""
        logits_BTCV = network(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC)
        return channel_sums(logits_BTCV, batch.targets_BTC, network.config.decoder.eos)
