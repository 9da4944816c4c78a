"""Losses over pairs of takes of one script: what `dpo`, `ipo` and `simpo` share.

In a batch each preferred take is followed by the rejected take of its pair. A take's score is its log
probability, less that of the reference where the objective has one, by its number of tokens where lengths are
normalized.

Legend: N pair, B take (2 N), T step, C codec channel.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor, nn

from dia.config.choices import TrainingData
from dia.config.preference import PreferenceConfig
from dia.config.train import TrainConfig
from dia.network import DiaNetwork
from dia.training.copies import copy_of
from dia.training.loss import LossSums
from dia.training.objectives.protocol import DelayedBatch, Objective
from dia.training.reference_policy import ReferencePolicy
from dia.training.token_likelihood import PIECE, sampled_targets, token_log_probabilities


@dataclass
class PairSums(LossSums):
    """Sums over pairs of the loss, of pairs in the right order, of the margin and of both takes' scores."""

    loss: Tensor
    right: Tensor
    margin: Tensor
    chosen: Tensor
    rejected: Tensor
    cross_entropy: Tensor
    pairs: Tensor

    counted = "pairs"

    @property
    def count(self) -> Tensor:
        """The number of pairs."""
        return self.pairs

    def total(self, weights_C: Tensor) -> Tensor:
        """Return the summed loss, whatever the weights: a take's likelihood has none."""
        return self.loss

    def metrics(self, weights_C: Tensor) -> dict[str, float]:
        """Return the means over pairs."""
        pairs = self.pairs.clamp_min(1)
        return {
            "loss": float(self.loss / pairs),
            "pair_accuracy": float(self.right / pairs),
            "margin": float(self.margin / pairs),
            "chosen_score": float(self.chosen / pairs),
            "rejected_score": float(self.rejected / pairs),
            "chosen_cross_entropy": float(self.cross_entropy / pairs),
        }


class PairwiseObjective(Objective):
    """A loss of the difference of a preferred and a rejected take's scores.

    A pair whose two takes have no sampled target (padding of validation) is not counted.
    """

    needs_checkpoint = True
    reads = TrainingData.pairs
    teacher_passes = 1
    uses_reference: ClassVar[bool] = True
    always_normalized: ClassVar[bool] = False

    def __init__(
        self, reference: ReferencePolicy | None, settings: PreferenceConfig, piece: int = PIECE
    ) -> None:
        self.reference, self.settings, self.piece = reference, settings, piece
        self.length_normalized = self.always_normalized or settings.length_normalized

    @classmethod
    def from_config(cls, config: TrainConfig, network: DiaNetwork) -> Self:
        """Create the objective; its reference is a copy of the initial network, or that below adapters."""
        copy = copy_of(network) if cls.uses_reference and not config.lora.rank else None
        return cls(ReferencePolicy(copy) if cls.uses_reference else None, config.preference)

    @classmethod
    def problems(cls, config: TrainConfig) -> list[str]:
        """Return the problems of `preference`, and dropout, which would make likelihoods random."""
        return config.preference.problems() + dropout_problems(config)

    @property
    def teachers(self) -> tuple[nn.Module, ...]:
        """The copy of the reference, where there is one."""
        copy = self.reference.copy if self.reference else None
        return () if copy is None else (copy,)

    @abstractmethod
    def losses(self, margins_N: Tensor) -> Tensor:
        """Return the loss (N,) of the margins (N,), the preferred takes' scores less the rejected ones'."""

    def __call__(self, network: DiaNetwork, batch: DelayedBatch) -> PairSums:
        """Return the sums over a batch's pairs."""
        is_sampled_BTC = sampled_targets(batch.targets_BTC, network.config.decoder.eos)
        tokens_B = is_sampled_BTC.sum((1, 2))
        log_B = token_log_probabilities(network, batch, self.piece).sum((1, 2))
        scores_B = log_B
        if self.reference is not None:
            reference_BTC = self.reference.token_log_probabilities(network, batch, self.piece)
            scores_B = log_B - reference_BTC.sum((1, 2))
        if self.length_normalized:
            scores_B = scores_B / tokens_B.clamp_min(1)
        chosen_N, rejected_N = scores_B[0::2], scores_B[1::2]
        counted_N = tokens_B[0::2] > 0
        margins_N = chosen_N - rejected_N
        cross_entropy_N = -log_B[0::2] / tokens_B[0::2].clamp_min(1)
        losses_N = self.losses(margins_N) + self.settings.cross_entropy_weight * cross_entropy_N
        return PairSums(
            (losses_N * counted_N).sum(),
            ((margins_N.detach() > 0) & counted_N).sum(),
            (margins_N.detach() * counted_N).sum(),
            (chosen_N.detach() * counted_N).sum(),
            (rejected_N.detach() * counted_N).sum(),
            (cross_entropy_N.detach() * counted_N).sum(),
            counted_N.sum(),
        )


def dropout_problems(config: TrainConfig) -> list[str]:
    """Return a problem for each kind of dropout: the policy's likelihoods must be those of its takes."""
    keys = (("dropout", config.dropout), ("lora.dropout", config.lora.dropout if config.lora.rank else 0.0))
    return [
        f"{key}={value} makes the likelihoods of objective={config.objective} random; set it to 0"
        for key, value in keys
        if value
    ]
