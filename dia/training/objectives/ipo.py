"""Identity preference optimization (Azar et al. 2023, arXiv 2310.12036, equation 17).

Its margins are bounded, so that pairs with a clear preference do not drive the model ever further. Scores are
means over tokens, as in TRL's implementation.

Legend: N pair.
"""

from torch import Tensor

from dia.training.objectives.pairwise import PairwiseObjective


class IdentityPreferenceOptimization(PairwiseObjective):
    """(margin - 1 / (2 beta)) squared."""

    always_normalized = True

    def losses(self, margins_N: Tensor) -> Tensor:
        """Return the loss (N,) of the margins (N,)."""
        return (margins_N - 1 / (2 * self.settings.beta)).square()


OBJECTIVE = IdentityPreferenceOptimization
