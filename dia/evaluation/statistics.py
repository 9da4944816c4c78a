"""Intervals by bootstrap over prompts: clips of one prompt (its seeds) are drawn together, for they are not independent."""

from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % percentile interval and what it rests on."""

    value: float
    low: float
    high: float
    clips: int
    prompts: int


def estimate_ratio(numerators: list[float], denominators: list[float], prompts: list[str], seed: int = 0) -> Estimate:
    """Return sum(numerators) / sum(denominators), such as errors by words, with its clustered interval.

    Raises ``ValueError`` for no clips or when the denominators sum to nothing.
    """
    if not numerators or sum(denominators) == 0:
        raise ValueError("an estimate needs at least one clip with a denominator above 0")
    names, cluster = np.unique(prompts, return_inverse=True)
    top = np.bincount(cluster, weights=numerators)
    bottom = np.bincount(cluster, weights=denominators)
    drawn = np.random.default_rng(seed).integers(0, len(names), (RESAMPLES, len(names)))
    sums = bottom[drawn].sum(axis=1)
    ratios = top[drawn].sum(axis=1)[sums > 0] / sums[sums > 0]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Estimate(float(top.sum() / bottom.sum()), float(low), float(high), len(numerators), len(names))


def estimate_mean(values: list[float], prompts: list[str], seed: int = 0) -> Estimate:
    """Return the mean of per-clip values with its clustered interval. Raises ``ValueError`` for no clips."""
    return estimate_ratio(values, [1.0] * len(values), prompts, seed)
