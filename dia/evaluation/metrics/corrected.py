"""Correct rates for the errors of a detector, from its sensitivity and specificity on labelled recordings.

q' = (q + Sp - 1) / (Se + Sp - 1): W. J. Rogan and B. Gladen, "Estimating prevalence from the results of a
screening test", 1978. Nothing is clipped: a value outside 0..1 shows that the detector was calibrated on
sounds of another kind.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dia.evaluation.metrics.result import Contribution
from dia.evaluation.paired import PSEUDO_PROMPTS
from dia.judges.events import Calibration

DRAWS = 2000
PRIOR = 0.5  # Jeffreys': a bootstrap of eleven hits of eleven would have no uncertainty


def correct_rate(
    contributions: Sequence[Contribution],
    calibration: Calibration,
    *,
    difference: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Return `value`, `low` and `high` of the corrected rate, and whether it is `outside` 0..1 (-1..1).

    With ``difference`` the contributions are differences of two rates of one detector, in which specificity
    cancels out. The 95 % interval draws sensitivity, specificity and rate jointly: each from its Beta
    posterior over the number of recordings or prompts, a difference around its mean over clusters.
    """
    rng = np.random.default_rng(seed)
    observed, draws = _draw_differences(contributions, rng) if difference else _draw_rates(contributions, rng)
    sensitivity, specificity = calibration.sensitivity, calibration.specificity
    drawn_sensitivity = _draw_share(sensitivity, calibration.with_tag, rng)
    drawn_specificity = _draw_share(specificity, calibration.without_tag, rng)
    informedness = drawn_sensitivity + drawn_specificity - 1
    valid = informedness > 0  # a detector no better than random has no corrected rate
    numerators = draws if difference else draws + drawn_specificity - 1
    low, high = np.quantile(numerators[valid] / informedness[valid], [0.025, 0.975])
    value = (observed if difference else observed + specificity - 1) / (sensitivity + specificity - 1)
    least = -1.0 if difference else 0.0
    ends = {"low": float(min(low, value)), "high": float(max(high, value))}
    return {"value": float(value), **ends, "outside": not least <= value <= 1}


def _draw_share(share: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw from the Beta posterior of a share of ``count`` trials."""
    return rng.beta(share * count + PRIOR, (1 - share) * count + PRIOR, DRAWS)


def _draw_rates(
    contributions: Sequence[Contribution], rng: np.random.Generator
) -> tuple[float, NDArray[np.float64]]:
    """Return the rate and draws from its posterior; clusters, not takes, count as trials."""
    observed = float(np.mean([item.numerator for item in contributions]))
    return observed, _draw_share(observed, len({item.cluster for item in contributions}), rng)


def _draw_differences(
    contributions: Sequence[Contribution], rng: np.random.Generator
) -> tuple[float, NDArray[np.float64]]:
    """Return the mean, and draws around the mean of clusters as ``rate_interval`` estimates it.

    Its added prompts give an uncertainty to differences that are all alike, which a bootstrap would not have.
    """
    names, cluster = np.unique([item.cluster for item in contributions], return_inverse=True)
    sums = np.bincount(cluster, weights=[item.numerator for item in contributions])
    means = sums / np.bincount(cluster)
    counted = len(names) + 2 * PSEUDO_PROMPTS
    center = float(means.sum() / counted)
    spread = float(((means**2).sum() + 2 * PSEUDO_PROMPTS) / counted) - center**2
    moves = rng.standard_t(max(len(names) - 1, 1), DRAWS) * np.sqrt(spread / counted)
    observed = float(np.mean([item.numerator for item in contributions]))
    return observed, np.clip(center + moves, -1.0, 1.0)
