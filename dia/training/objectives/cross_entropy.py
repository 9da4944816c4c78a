"""Cross-entropy with teacher forcing, the ordinary objective.

Legend: B clip, T step, C codec channel, R step of all clips in a row, D width.
"""

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from dia.config.alignment import AlignmentConfig
from dia.config.train import TrainConfig
from dia.config.trainer import FIRST_CHANNEL_WEIGHT
from dia.network import DiaNetwork
from dia.training.alignment_loss import alignment_loss
from dia.training.fused_cross_entropy import head_sums
from dia.training.loss import ChannelSums, channel_weights
from dia.training.objectives.protocol import DelayedBatch, Objective

PIECE = 512  # steps whose logits are in memory at a time


@dataclass
class AlignedSums(ChannelSums):
    """Sums of cross-entropy, and the weighted sum () of the alignment loss, which `loss` does not contain."""

    alignment: Tensor

    def total(self, weights_C: Tensor) -> Tensor:
        """Return the cross-entropy and the alignment loss."""
        return super().total(weights_C) + self.alignment

    def metrics(self, weights_C: Tensor) -> dict[str, float]:
        """Return the means of cross-entropy, and the weighted alignment loss by frame."""
        aligned = float(self.alignment / self.count.clamp_min(1))
        return super().metrics(weights_C) | {"alignment": aligned}


class CrossEntropy(Objective):
    """Cross-entropy of every next code and EOS; channel 0 has the weight ``first_channel_weight``.

    The logits of at most ``piece`` steps are in memory at a time. With ``alignment`` the alignment loss of
    dia/training/alignment_loss.py is added.
    """

    def __init__(
        self,
        first_channel_weight: float = FIRST_CHANNEL_WEIGHT,
        piece: int = PIECE,
        alignment: AlignmentConfig | None = None,
    ) -> None:
        self.first_channel_weight, self.piece = first_channel_weight, piece
        self.alignment = alignment if alignment and alignment.weight else None

    takes_packed = takes_alignment = True

    @classmethod
    def from_config(cls, config: TrainConfig, network: DiaNetwork) -> Self:
        """Create the objective with the channel weight and the alignment loss of the config."""
        return cls(config.batch.first_channel_weight, alignment=config.alignment)

    def __call__(self, network: DiaNetwork, batch: DelayedBatch) -> ChannelSums:
        """Return the sums over a batch's targets."""
        layers = self.alignment.layers if self.alignment else []
        with network.decoder.record_cross_attention(layers) as recorded:
            features_BTD = network.features(
                batch.text_BS, batch.text_mask_BS, batch.inputs_BTC, batch.packing
            )
        sums = self._cross_entropy(network, batch, features_BTD)
        if self.alignment is None:
            return sums
        loss = alignment_loss(recorded, batch, self.alignment.heads, network.config.decoder.eos)
        return AlignedSums(**vars(sums), alignment=self.alignment.weight * loss)

    def _cross_entropy(self, network: DiaNetwork, batch: DelayedBatch, features_BTD: Tensor) -> ChannelSums:
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
