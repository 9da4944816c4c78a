"""Intervals by bootstrap over prompts: clips of one prompt (its seeds) are drawn together, for they are not independent.

Percentile intervals of few prompts are a little too narrow: at 24 prompts about 93 of 100 hold the truth, not 95.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    low, high = np.quantile(_drawn_ratios(numerators, denominators, prompts, seed), [0.025, 0.975])
    value = float(np.sum(numerators) / np.sum(denominators))
    return Estimate(value, float(low), float(high), len(numerators), len(set(prompts)))


def estimate_difference(first: tuple[list[float], list[str]], second: tuple[list[float], list[str]], seed: int = 0) -> Estimate:
    """Return the mean of ``first`` minus that of ``second``, both (values, prompts), with its interval.

    The two share no prompts, so each is drawn by itself. Raises ``ValueError`` when one holds no clips.
    """
    means = [_drawn_means(*part, seed + place) for place, part in enumerate((first, second))]
    low, high = np.quantile(means[0] - means[1], [0.025, 0.975])
    value = float(np.mean(first[0]) - np.mean(second[0]))
    prompts = len({*first[1], *second[1]})
    return Estimate(value, float(low), float(high), len(first[0]) + len(second[0]), prompts)


def estimate_mean(values: list[float], prompts: list[str], seed: int = 0) -> Estimate:
    """Return the mean of per-clip values with its clustered interval. Raises ``ValueError`` for no clips."""
    return estimate_ratio(values, [1.0] * len(values), prompts, seed)


def _drawn_ratios(numerators: list[float], denominators: list[float], prompts: list[str], seed: int) -> NDArray[np.float64]:
    """Return the ratio of every resample of prompts that has a denominator above 0."""
    names, cluster = np.unique(prompts, return_inverse=True)
    top = np.bincount(cluster, weights=numerators)
    bottom = np.bincount(cluster, weights=denominators)
    drawn = np.random.default_rng(seed).integers(0, len(names), (RESAMPLES, len(names)))
    sums = bottom[drawn].sum(axis=1)
    return np.asarray(top[drawn].sum(axis=1)[sums > 0] / sums[sums > 0], dtype=np.float64)


def _drawn_means(values: list[float], prompts: list[str], seed: int) -> NDArray[np.float64]:
    if not values:
        raise ValueError("a difference needs at least one clip on either side")
    return _drawn_ratios(values, [1.0] * len(values), prompts, seed)
