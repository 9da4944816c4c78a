"""Simple preference optimization (Meng et al. 2024, arXiv 2405.14734, equation 6): without a reference.

Legend: N pair.
"""

import torch.nn.functional as F
from torch import Tensor

from dia.training.objectives.pairwise import PairwiseObjective


class SimplePreferenceOptimization(PairwiseObjective):
    """-log sigmoid(beta x (margin - simpo_margin)), of log probabilities per token."""

    uses_reference = False
    teacher_passes = 0
    always_normalized = True

    def losses(self, margins_N: Tensor) -> Tensor:
        """Return the loss (N,) of the margins (N,)."""
        return -F.logsigmoid(self.settings.beta * (margins_N - self.settings.simpo_margin))


OBJECTIVE = SimplePreferenceOptimization
