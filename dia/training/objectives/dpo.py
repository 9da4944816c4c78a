"""Direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290, equation 7).

Legend: N pair.
"""

import torch.nn.functional as F
from torch import Tensor

from dia.training.objectives.pairwise import PairwiseObjective


class DirectPreferenceOptimization(PairwiseObjective):
    """-log sigmoid(beta x margin): the odds that the preferred take is the better one."""

    def losses(self, margins_N: Tensor) -> Tensor:
        """Return the loss (N,) of the margins (N,)."""
        return -F.logsigmoid(self.settings.beta * margins_N)


OBJECTIVE = DirectPreferenceOptimization
