"""Rates as they would be if the detector were perfect, from its sensitivity and specificity on labelled
recordings.

q' = (q + Sp - 1) / (Se + Sp - 1): W. J. Rogan and B. Gladen, "Estimating prevalence from the results of a
screening test", 1978. Nothing is clipped: a value outside 0..1 says that the detector was calibrated on other
sounds than these.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dia.evaluation.metrics.protocol import Part
from dia.evaluation.statistics import RESAMPLES
from dia.judges.events import Calibration

PRIOR = 0.5  # Jeffreys': eleven hits of eleven are no certainty, as a bootstrap of them would have it


def corrected(
    parts: Sequence[Part], calibration: Calibration, difference: bool = False, seed: int = 0
) -> dict[str, Any]:
    """Return `value`, `low`, `high` of the corrected rate of the parts and whether it lies `outside` 0..1
    (-1..1).

    ``difference``: the parts are differences of two rates of the same detector, whose specificity cancels
    out. The 95 % interval draws all three figures jointly: sensitivity and specificity, each from what as
    many recordings tell of it, and the rate from what as many prompts do (a difference by bootstrap over its
    clusters).
    """
    random = np.random.default_rng(seed)
    observed, drawn = _differences(parts, random) if difference else _rates(parts, random)
    se, sp = calibration.sensitivity, calibration.specificity
    drawn_se = _drawn(se, calibration.with_tag, random)
    drawn_sp = _drawn(sp, calibration.without_tag, random)
    informed = drawn_se + drawn_sp - 1
    kept = informed > 0  # a draw of a detector that tells nothing has no corrected rate
    tops = drawn if difference else drawn + drawn_sp - 1
    low, high = np.quantile(tops[kept] / informed[kept], [0.025, 0.975])
    value = (observed if difference else observed + sp - 1) / (se + sp - 1)
    least = -1.0 if difference else 0.0
    return {"value": float(value), "low": float(low), "high": float(high), "outside": not least <= value <= 1}


def _drawn(share: float, count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Shares that so many trials leave possible."""
    return random.beta(share * count + PRIOR, (1 - share) * count + PRIOR, RESAMPLES)


def _rates(parts: Sequence[Part], random: np.random.Generator) -> tuple[float, NDArray[np.float64]]:
    """The share of the parts; as many trials as there are clusters, for seeds of one prompt are not
    independent.
    """
    observed = float(np.mean([part.top for part in parts]))
    return observed, _drawn(observed, len({part.cluster for part in parts}), random)


def _differences(parts: Sequence[Part], random: np.random.Generator) -> tuple[float, NDArray[np.float64]]:
    """The mean of the parts, and means of parts drawn again cluster by cluster."""
    names, cluster = np.unique([part.cluster for part in parts], return_inverse=True)
    top, bottom = np.bincount(cluster, weights=[part.top for part in parts]), np.bincount(cluster)
    places = random.integers(0, len(names), (RESAMPLES, len(names)))
    return float(top.sum() / bottom.sum()), top[places].sum(axis=1) / bottom[places].sum(axis=1)
