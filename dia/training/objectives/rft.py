"""Rejection sampling fine-tuning: cross-entropy of the best of several takes.

Source: Touvron et al. 2023, arXiv 2307.09288, section 3.2.3, there as one step of RLHF. It reads the
preferred takes of a preference data set as ordinary clips. Their voice prompts are not part of the loss.
"""

from dia.config.choices import TrainingData
from dia.training.objectives.cross_entropy import CrossEntropy


class RejectionSamplingFineTuning(CrossEntropy):
    """Cross-entropy of the preferred takes of pairs."""

    needs_checkpoint = True
    reads = TrainingData.preferred


OBJECTIVE = RejectionSamplingFineTuning
