"""Two systems on the same prompts: the difference of their figures, its 95 % interval, and a permutation
test.

Every array has the prompts as its last axis. A figure is ``sum(top) / sum(bottom)``, and so is that of each
resample: WER stays a ratio of sums, and where every ``bottom`` is 1 it is a mean.

Which interval, and why (`tests/evaluation/test_coverage.py` counts how often each holds a known difference).
Percentile intervals of 8 to 12 prompts hold it 82 to 90 times in 100. The symmetric studentised bootstrap
draws prompts and asks how many standard errors a resample is off, which widens the interval as few prompts
and skewed values need. Alone it holds a difference on a scale 96 to 97 times at 8 prompts, and one of word
errors, of which few clips have most, 92 to 94 times; so the level is calibrated on simulated systems of
either kind (the idea: W.-Y. Loh, "Calibrating confidence coefficients", 1987). Rates near 0 and 1 have
resamples without any spread, where it breaks down; they have a closed form.
"""

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dia.evaluation.clip_values import Floats, Kind, PerPrompt

RESAMPLES = 2000
PERMUTATIONS = 9999
EXACT = 13  # prompts up to which all 2**13 assignments are tried
AT_ONCE = 2_000_000  # numbers in an array of resamples
# times Student's t; few prompts that differ leave resamples without spread, which would make it infinite
WIDEST = 4.0
EACH = 0.75  # prompt that favours either system, which is added to rates

Interval = tuple[float, float] | None


def influence(first: PerPrompt, second: PerPrompt) -> Floats:
    """Return how much each prompt moves the difference, (prompts,), times the number of prompts: its
    linearisation.
    """
    return np.asarray(
        _without_figure(first) / first.bottom.mean() - _without_figure(second) / second.bottom.mean()
    )


def difference(first: PerPrompt, second: PerPrompt) -> float:
    """Return the figure of the first minus that of the second."""
    return float(_figure(first.top, first.bottom) - _figure(second.top, second.bottom))


def interval(kind: Kind, first: PerPrompt, second: PerPrompt, seed: int = 0) -> Interval:
    """Return the 95 % interval of the difference that suits the kind of score."""
    if kind is Kind.RATE:
        return rate_interval(first, second)
    prompts = len(first.top)
    level = 0.965 + 0.1 / prompts if kind is Kind.RATIO else 0.95 - 0.08 / prompts
    return studentised_interval(first, second, level, seed)


def studentised_interval(first: PerPrompt, second: PerPrompt, level: float, seed: int = 0) -> Interval:
    """Return the symmetric studentised bootstrap interval; None when no two prompts differ, which says
    nothing of others.

    ``level`` is the share of resamples within it. Source: P. Hall, "On symmetric bootstrap confidence
    intervals", 1988.
    """
    prompts = len(first.top)
    middle, moves = difference(first, second), influence(first, second)
    error = float(np.sqrt((moves**2).sum() / (prompts * max(prompts - 1, 1))))
    if prompts < 2 or not error > 1e-12 * max(1.0, abs(middle)):
        return None
    random, widest = np.random.default_rng(seed), WIDEST * float(stats.t.ppf(0.975, prompts - 1))
    off = [
        _errors_off(_resamples(random, size, prompts), first, second, widest)
        for size in _batches(RESAMPLES, prompts)
    ]
    reach = float(np.quantile(np.concatenate(off), level)) * error
    return middle - reach, middle + reach


def _resamples(random: np.random.Generator, count: int, prompts: int) -> Floats:
    """Return how often each resample draws each prompt, (count, prompts)."""
    drawn = random.integers(0, prompts, (count, prompts)) + prompts * np.arange(count)[:, None]
    return np.bincount(drawn.ravel(), minlength=count * prompts).reshape(count, prompts).astype(np.float64)


def _errors_off(drawn: Floats, first: PerPrompt, second: PerPrompt, widest: float) -> Floats:
    """Return how many of its own standard errors each resample is off the difference of the sample, at most
    ``widest``.

    What a resample needs are sums over its prompts: of tops, from which the sample's figure is taken off
    beforehand, of bottoms, and of all products of them, as the squared standard error is a quadratic form of
    these.
    """
    parts = np.stack((_without_figure(first), first.bottom, _without_figure(second), second.bottom))
    sums = drawn @ parts.T
    products = (drawn @ (parts[:, None] * parts[None]).reshape(16, -1).T).reshape(-1, 4, 4)
    prompts = drawn.shape[1]
    figures, means = sums[:, ::2] / sums[:, 1::2], sums[:, 1::2] / prompts
    weights = np.stack((1 / means, -figures / means), axis=2) * np.array([1.0, -1.0])[:, None]
    squares = np.einsum("bi,bij,bj->b", weights.reshape(-1, 4), products, weights.reshape(-1, 4))
    errors = np.sqrt(np.maximum(squares, 0) / (prompts * (prompts - 1)))
    away = np.abs(figures[:, 0] - figures[:, 1])
    none = np.where(away > 1e-12, widest, 0.0)  # a resample of prompts that are all alike
    return np.minimum(np.divide(away, errors, out=none, where=errors * widest > away), widest)


def _without_figure(system: PerPrompt) -> Floats:
    return system.top - float(_figure(system.top, system.bottom)) * system.bottom


def _batches(count: int, prompts: int) -> list[int]:
    """Return how many resamples are drawn at a time, so that thousands of prompts do not fill the memory."""
    size = max(1, AT_ONCE // prompts)
    return [min(size, count - begin) for begin in range(0, count, size)]


def rate_interval(first: PerPrompt, second: PerPrompt) -> Interval:
    """Return the interval of a difference of rates: Student's, after three quarters of a prompt that favours
    either system.

    With several takes a prompt, what is added counts as much as the takes are worth: ``1 / takes`` where
    takes of a prompt are independent, 1 where they are all alike. None for a single prompt. Source of the
    added observations, half or one: A. Agresti, Y. Min, "Simple improved confidence intervals for comparing
    matched proportions", 2005; D. G. Bonett, R. M. Price, "Adjusted Wald confidence interval for a difference
    of binomial proportions based on paired data", 2012. The weight is ours.
    """
    apart = first.top - second.top
    prompts = len(apart)
    if prompts < 2:
        return None
    counted = prompts + 2 * EACH
    middle = float(apart.sum() / counted)
    spread = float(((apart**2).sum() + 2 * EACH * _worth(first, second) ** 2) / counted) - middle**2
    reach = float(stats.t.ppf(0.975, prompts - 1) * np.sqrt(spread / counted))
    return max(-1.0, middle - reach), min(1.0, middle + reach)


def _worth(first: PerPrompt, second: PerPrompt) -> float:
    """Return what one take says in units of a prompt: the design effect by the number of takes, in
    1/takes..1.
    """
    takes = 1 / float(np.mean((1 / first.takes + 1 / second.takes) / 2))
    between = float(np.var(first.top - second.top))
    of_one = between + float(np.mean(first.variance + second.variance)) * (1 - 1 / takes)
    effect = takes * between / of_one if of_one > 0 else takes
    return float(np.clip(effect, 1, takes)) / takes


def permutation_p(first: PerPrompt, second: PerPrompt, seed: int = 0) -> float:
    """Return the two-sided p of no difference: what each prompt scored is given to either system by chance.

    All assignments are tried for up to 13 prompts; beyond that 9,999 random ones and the observed one.
    """
    prompts, observed = len(first.top), abs(difference(first, second))
    if prompts <= EXACT:
        return float(np.mean(_swapped_difference(_all_swaps(prompts), first, second) >= _edge(observed)))
    random, as_far = np.random.default_rng(seed), 1
    for size in _batches(PERMUTATIONS, prompts):
        found = _swapped_difference(random.random((size, prompts)) < 0.5, first, second)
        as_far += int((found >= _edge(observed)).sum())
    return as_far / (PERMUTATIONS + 1)


def _swapped_difference(swapped: NDArray[np.bool_], first: PerPrompt, second: PerPrompt) -> Floats:
    """Return the size of the difference when what prompts scored changes sides where ``swapped`` (...,
    prompts) says so.
    """
    change = swapped.astype(np.float64)
    top, bottom = change @ (second.top - first.top), change @ (second.bottom - first.bottom)
    one = (first.top.sum() + top) / (first.bottom.sum() + bottom)
    other = (second.top.sum() - top) / (second.bottom.sum() - bottom)
    return np.abs(one - other)


def _edge(observed: float) -> float:
    """Return what counts as being as far off as what was observed, whatever the order of additions rounded it
    to.
    """
    return observed * (1 - 1e-9) - 1e-15


def holm(p_values: list[float]) -> list[float]:
    """Return p-values adjusted for the family they form, in the same order.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values, dtype=np.float64)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted.tolist()


def _figure(top: Floats, bottom: Floats) -> Floats:
    return np.asarray(top.sum(axis=-1) / bottom.sum(axis=-1))


def _all_swaps(prompts: int) -> NDArray[np.bool_]:
    return np.array(list(itertools.product((False, True), repeat=prompts)))
