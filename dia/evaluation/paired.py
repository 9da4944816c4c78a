"""Paired comparison of two systems on the same prompts: the difference and its 95 % interval.

The last axis of every array is the prompts. A score is ``sum(numerators) / sum(denominators)``, also that of
each resample: WER stays a ratio of sums, and where every denominator is 1 the score is a mean.

Which interval, and why (`tests/evaluation/test_coverage.py` counts how often each contains a known
difference): percentile intervals of 8 to 12 prompts contain it 82 to 90 times in 100. The symmetric
studentised bootstrap resamples prompts and measures the distance of each resample in its own standard errors,
which widens the interval as few prompts and skewed values require. Alone it contains a difference on a scale
96 to 97 times at 8 prompts, and one of word errors, of which few clips have most, 92 to 94 times; so the
level is calibrated on simulated systems of either kind (the idea: W.-Y. Loh, "Calibrating confidence
coefficients", 1987). Rates near 0 and 1 have resamples without variance, where the bootstrap fails; they have
a closed form, and so have fewer than six prompts (Student's, for skewed errors at 98 %).
"""

import numpy as np
from scipy import stats

from dia.evaluation.clip_values import Floats, Kind, PromptMeans

RESAMPLES = 2000
FEWEST_RESAMPLED = 6  # prompts; most resamples of fewer repeat one of them too often
MOST_NUMBERS = 2_000_000  # in an array of resamples
# times Student's t: where few prompts differ, resamples without variance would make the interval infinite
WIDEST = 4.0
PSEUDO_PROMPTS = 0.75  # added to rates in favour of each system

Interval = tuple[float, float] | None


def influence(first: PromptMeans, second: PromptMeans) -> Floats:
    """Return the influence of each prompt on the difference, (prompts,), times the number of prompts."""
    return np.asarray(
        _residuals(first) / first.denominators.mean() - _residuals(second) / second.denominators.mean()
    )


def difference(first: PromptMeans, second: PromptMeans) -> float:
    """Return the score of the first minus that of the second."""
    return float(
        _ratio(first.numerators, first.denominators) - _ratio(second.numerators, second.denominators)
    )


def interval(kind: Kind, first: PromptMeans, second: PromptMeans, seed: int = 0) -> Interval:
    """Return the 95 % interval of the difference that suits the kind of score."""
    if kind is Kind.RATE:
        return rate_interval(first, second)
    prompts = len(first.numerators)
    if prompts < FEWEST_RESAMPLED:
        return student_interval(first, second, 0.98 if kind is Kind.RATIO else 0.95)
    level = 0.965 + 0.1 / prompts if kind is Kind.RATIO else 0.95 - 0.08 / prompts
    return studentised_interval(first, second, level, seed)


def standard_error(first: PromptMeans, second: PromptMeans) -> float:
    """Return the standard error of the difference over prompts, by linearisation; 0 for one prompt."""
    prompts = len(first.numerators)
    return float(np.sqrt((influence(first, second) ** 2).sum() / (prompts * max(prompts - 1, 1))))


def student_interval(first: PromptMeans, second: PromptMeans, level: float) -> Interval:
    """Return Student's interval; None when no two prompts differ."""
    prompts, center, error = len(first.numerators), difference(first, second), standard_error(first, second)
    if prompts < 2 or not error > 1e-12 * max(1.0, abs(center)):
        return None
    reach = float(stats.t.ppf((1 + level) / 2, prompts - 1)) * error
    return center - reach, center + reach


def studentised_interval(first: PromptMeans, second: PromptMeans, level: float, seed: int = 0) -> Interval:
    """Return the symmetric studentised bootstrap interval; None when no two prompts differ.

    ``level`` is the share of resamples within it. Source: P. Hall, "On symmetric bootstrap confidence
    intervals", 1988.
    """
    prompts = len(first.numerators)
    center, error = difference(first, second), standard_error(first, second)
    if prompts < 2 or not error > 1e-12 * max(1.0, abs(center)):
        return None
    rng, widest = np.random.default_rng(seed), WIDEST * float(stats.t.ppf(0.975, prompts - 1))
    distances = [
        _studentised_distances(_draw_resamples(rng, size, prompts), first, second, widest)
        for size in _batch_sizes(RESAMPLES, prompts)
    ]
    reach = float(np.quantile(np.concatenate(distances), level)) * error
    return center - reach, center + reach


def _draw_resamples(rng: np.random.Generator, count: int, prompts: int) -> Floats:
    """Return how often each resample draws each prompt, (count, prompts)."""
    drawn = rng.integers(0, prompts, (count, prompts)) + prompts * np.arange(count)[:, None]
    return np.bincount(drawn.ravel(), minlength=count * prompts).reshape(count, prompts).astype(np.float64)


def _studentised_distances(drawn: Floats, first: PromptMeans, second: PromptMeans, widest: float) -> Floats:
    """Return the distance of each resample from the sample in its own standard errors, at most ``widest``.

    A resample needs sums over its prompts: of residuals (numerators minus the sample's score), of
    denominators, and of all their products, because the squared standard error is a quadratic form of these.
    """
    parts = np.stack((_residuals(first), first.denominators, _residuals(second), second.denominators))
    sums = drawn @ parts.T
    products = (drawn @ (parts[:, None] * parts[None]).reshape(16, -1).T).reshape(-1, 4, 4)
    prompts = drawn.shape[1]
    scores, means = sums[:, ::2] / sums[:, 1::2], sums[:, 1::2] / prompts
    weights = np.stack((1 / means, -scores / means), axis=2) * np.array([1.0, -1.0])[:, None]
    squares = np.einsum("bi,bij,bj->b", weights.reshape(-1, 4), products, weights.reshape(-1, 4))
    errors = np.sqrt(np.maximum(squares, 0) / (prompts * (prompts - 1)))
    distances = np.abs(scores[:, 0] - scores[:, 1])
    without_error = np.where(distances > 1e-12, widest, 0.0)  # resamples of prompts that are all alike
    is_finite = errors * widest > distances
    statistics: Floats = np.minimum(np.divide(distances, errors, out=without_error, where=is_finite), widest)
    return statistics


def _residuals(system: PromptMeans) -> Floats:
    return system.numerators - float(_ratio(system.numerators, system.denominators)) * system.denominators


def _batch_sizes(count: int, prompts: int) -> list[int]:
    """Return how many resamples to draw at a time, so that thousands of prompts fit into memory."""
    size = max(1, MOST_NUMBERS // prompts)
    return [min(size, count - begin) for begin in range(0, count, size)]


def rate_interval(first: PromptMeans, second: PromptMeans) -> Interval:
    """Return Student's interval of a difference of rates, with 3/4 of a prompt added for each system.

    With several takes per prompt, the added prompts count as much as one take is worth: ``1 / takes`` where
    the takes of a prompt are independent, 1 where they are all alike. None for a single prompt. Source of the
    added observations, half or one: A. Agresti, Y. Min, "Simple improved confidence intervals for comparing
    matched proportions", 2005; D. G. Bonett, R. M. Price, "Adjusted Wald confidence interval for a difference
    of binomial proportions based on paired data", 2012. The weight is ours.
    """
    apart = first.numerators - second.numerators
    prompts = len(apart)
    if prompts < 2:
        return None
    counted = prompts + 2 * PSEUDO_PROMPTS
    center = float(apart.sum() / counted)
    spread = (
        float(((apart**2).sum() + 2 * PSEUDO_PROMPTS * _weight_of_take(first, second) ** 2) / counted)
        - center**2
    )
    reach = float(stats.t.ppf(0.975, prompts - 1) * np.sqrt(spread / counted))
    return max(-1.0, center - reach), min(1.0, center + reach)


def _weight_of_take(first: PromptMeans, second: PromptMeans) -> float:
    """Return the weight of one take in units of a prompt: design effect / takes, in 1/takes..1."""
    takes = 1 / float(np.mean((1 / first.takes + 1 / second.takes) / 2))
    between = float(np.var(first.numerators - second.numerators))
    of_one = between + float(np.mean(first.variances + second.variances)) * (1 - 1 / takes)
    effect = takes * between / of_one if of_one > 0 else takes
    return float(np.clip(effect, 1, takes)) / takes


def _ratio(numerators: Floats, denominators: Floats) -> Floats:
    return np.asarray(numerators.sum(axis=-1) / denominators.sum(axis=-1))
