"""Objectives: what a network is asked for on a batch. One is called with (network, batch) and returns sums
and counts.

The sums are differentiable in ``cross_entropy_C``; nothing is normalised here, because counts are only known
when those of all ranks and micro-batches are added (dia/training/dia_module.py).

Legend: B clip, S text byte, T step, C codec channel.
"""

from typing import Protocol

from torch import Tensor

from dia.config.trainer import FIRST_CHANNEL_WEIGHT
from dia.network import DiaNetwork
from dia.training.fused_cross_entropy import head_sums
from dia.training.loss import ChannelSums, channel_weights

PIECE = 512  # steps whose logits are held at a time


class DelayedBatch(Protocol):
    """What an objective reads of a batch: text ids and mask (B, S), delayed inputs and targets (B, T, C)."""

    text_BS: Tensor
    text_mask_BS: Tensor
    inputs_BTC: Tensor
    targets_BTC: Tensor


class Objective(Protocol):
    """What training minimises."""

    def __call__(self, network: DiaNetwork, batch: DelayedBatch) -> ChannelSums:
        """Return the sums over a batch's targets; a gradient flows from ``cross_entropy_C``, whatever it
        measures.
        """
        ...


class CrossEntropy:
    """Teacher forcing: the cross-entropy of every code and EOS that follows, channel 0 weighing
    ``first_channel_weight``.

    Logits are held for ``piece`` steps at most.
    """

    def __init__(self, first_channel_weight: float = FIRST_CHANNEL_WEIGHT, piece: int = PIECE) -> None:
        self.first_channel_weight, self.piece = first_channel_weight, piece

    def __call__(self, network: DiaNetwork, batch: DelayedBatch) -> ChannelSums:
        """Return the sums over a batch's targets."""
        features_BTD = network.features(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC)
        weights_C = channel_weights(network.config.channels, self.first_channel_weight).to(
            features_BTD.device
        )
        targets_RC, weight = batch.targets_BTC.flatten(0, 1), network.logits_dense.weight
        return head_sums(
            features_BTD.flatten(0, 1), weight, targets_RC, network.config.decoder.eos, weights_C, self.piece
        )
