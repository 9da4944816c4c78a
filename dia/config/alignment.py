"""The auxiliary loss that aligns text and audio in the cross-attention of some layers."""

from dataclasses import dataclass, field

from dia.config.checks import below
from dia.config.model import DiaConfig


@dataclass
class AlignmentConfig:
    """Loss of the alignment of text and audio (dia/training/alignment_loss.py), to train from scratch."""

    weight: float = 0.0
    """Weight of the loss in nats a frame, beside the cross-entropy; 0 leaves it out, usual is .1 to .3."""
    layers: list[int] = field(default_factory=lambda: [1, 3])
    """Decoder layers whose cross-attention is aligned; the first is 0."""
    heads: int = 2
    """Aligned heads of each of these layers; the others are free."""

    def problems(self, model: DiaConfig) -> list[str]:
        """Return which values are out of range or beyond the model, one sentence per problem."""
        problems = below(0, [("alignment.weight", self.weight)])
        if not self.weight:
            return problems
        layers, heads = model.decoder.layers, model.decoder.cross_heads
        if not self.layers or not all(0 <= layer < layers for layer in self.layers):
            problems.append(
                f"alignment.layers={list(self.layers)} must name layers of the decoder, 0 to {layers - 1}"
            )
        if not 1 <= self.heads <= heads:
            problems.append(f"alignment.heads={self.heads} must be 1 to the {heads} heads of cross-attention")
        return problems
