"""Cross-entropy with teacher forcing, the ordinary objective.

Legend: B clip, T step, C codec channel, R step of all clips in a row, D width.
"""

from typing import Self

from dia.config.train import TrainConfig
from dia.config.trainer import FIRST_CHANNEL_WEIGHT
from dia.network import DiaNetwork
from dia.training.fused_cross_entropy import head_sums
from dia.training.loss import ChannelSums, channel_weights
from dia.training.objectives.protocol import DelayedBatch, Objective

PIECE = 512  # steps whose logits are in memory at a time


class CrossEntropy(Objective):
    """Cross-entropy of every next code and EOS; channel 0 has the weight ``first_channel_weight``.

    The logits of at most ``piece`` steps are in memory at a time.
    """

    def __init__(self, first_channel_weight: float = FIRST_CHANNEL_WEIGHT, piece: int = PIECE) -> None:
        self.first_channel_weight, self.piece = first_channel_weight, piece

    takes_packed = True

    @classmethod
    def from_config(cls, config: TrainConfig, network: DiaNetwork) -> Self:
        """Create the objective with the channel weight of the config."""
        return cls(config.batch.first_channel_weight)

    def __call__(self, network: DiaNetwork, batch: DelayedBatch) -> ChannelSums:
        """Return the sums over a batch's targets."""
        features_BTD = network.features(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC, batch.packing)
        weights_C = channel_weights(network.config.channels, self.first_channel_weight)
        return head_sums(
            features_BTD.flatten(0, 1),
            network.logits_dense.weight,
            batch.targets_BTC.flatten(0, 1),
            network.config.decoder.eos,
            weights_C.to(features_BTD.device),
            self.piece,
        )


OBJECTIVE = CrossEntropy
