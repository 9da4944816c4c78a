"""Correct the p-values of a family of tests: Holm's steps, with the effective number of tests.

Comparisons of the same systems on the same prompts depend on each other. Thirty of them give as many wrong
results as some fifteen independent ones, and a correction by thirty hides true differences. The effective
number is measured on the data: if no system differs, the signs of a prompt's differences are arbitrary. All
comparisons get the same random signs, which retains their dependence. The effective number is the level
divided by the value that the smallest p-value of the family falls below at that level.

Source: S. Holm, "A simple sequentially rejective multiple test procedure", 1979; the joint resampling and its
steps: P. H. Westfall, S. S. Young, "Resampling-based multiple testing", 1993, chapter 2.

Legend: R assignments of signs, P prompts, K tests.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dia.evaluation.clip_values import Floats
from dia.evaluation.power import LEVEL

ENUMERATED_PROMPTS = 14  # up to which all assignments are used
DRAWS = 20_000
MOST_NUMBERS = 8_000_000  # in the array (R, K)
FEWEST_DRAWS = 2_000


def holm(p_values: Sequence[float], counts: Sequence[float] | None = None) -> list[float]:
    """Return p-values adjusted for their family, in the same order.

    ``counts`` are the numbers of tests that each step corrects for, from the smallest p-value on; without
    them they are those of Holm, from all tests down to one.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.asarray(range(len(p_values), 0, -1) if counts is None else counts, dtype=np.float64)
    steps = np.asarray(p_values, dtype=np.float64)[order] * factors
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted.tolist()


class TestFamily:
    """Tests that depend on each other, by the change that each prompt makes to each, ``moves_PK`` (P, K)."""

    __test__ = False  # pytest takes the name for that of a test

    def __init__(self, moves_PK: Floats, seed: int = 0) -> None:
        prompts, tests = moves_PK.shape
        signs_RP = _signs(prompts, tests, seed)
        sizes_RK = np.abs(signs_RP @ moves_PK.astype(np.float32))
        self._p_RK = np.stack([_p_values(sizes) for sizes in sizes_RK.T], axis=1)

    def effective(self) -> float:
        """Return the effective number of all tests."""
        return self.counts(range(self._p_RK.shape[1]))[0]

    def counts(self, order: Sequence[int]) -> list[float]:
        """Return the effective number of the tests ``order[step:]`` for each step."""
        p_RK = self._p_RK[:, list(order)]
        smallest_RK = np.minimum.accumulate(p_RK[:, ::-1], axis=1)[:, ::-1]
        return [
            float(np.clip(LEVEL / _critical(smallest), 1.0, len(order) - step))
            for step, smallest in enumerate(smallest_RK.T)
        ]


def _signs(prompts: int, tests: int, seed: int) -> NDArray[np.float32]:
    """Return assignments of signs (R, P): all, up to their mirror image, or random ones."""
    if prompts <= ENUMERATED_PROMPTS:
        bits = np.arange(2 ** max(prompts - 1, 0))[:, None] >> np.arange(prompts) & 1
    else:
        draws = max(FEWEST_DRAWS, min(DRAWS, MOST_NUMBERS // max(tests, 1)))
        bits = np.random.default_rng(seed).integers(0, 2, (draws, prompts))
    return (1 - 2 * bits).astype(np.float32)


def _p_values(sizes_R: NDArray[np.float32]) -> Floats:
    """Return the share of assignments whose difference is as large as that of each assignment."""
    tolerance = np.float32(1e-5) * sizes_R.max()  # sums of the same numbers in another order are equal
    smaller_R = np.searchsorted(np.sort(sizes_R), sizes_R - tolerance, side="left")
    return np.asarray(1 - smaller_R / len(sizes_R))


def _critical(smallest_R: Floats) -> float:
    """Return the level of a single test at which the smallest p-value reaches it with probability ``LEVEL``.

    It lies between two values that p-values of few prompts can have.
    """
    values, counts = np.unique(smallest_R, return_counts=True)
    shares = np.cumsum(counts) / len(smallest_R)
    allowed = int(np.searchsorted(shares, LEVEL, side="right"))  # the first value that is too frequent
    if allowed == len(values):
        return LEVEL
    return float(values[allowed - 1] + values[allowed]) / 2 if allowed else float(values[0]) / 2
