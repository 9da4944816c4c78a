"""Simulated systems with a known true difference, for tests of intervals and of power."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from dia.evaluation.clip_values import ClipValues
from dia.evaluation.metrics.result import MOS
from dia.evaluation.statistics import Estimate, estimate_mean, estimate_rate, estimate_ratio

Draw = Callable[[np.random.Generator], tuple[ClipValues, ClipValues]]


@dataclass(frozen=True)
class Design:
    """``draw`` returns the two systems of one experiment; ``truth`` is their true difference."""

    name: str
    draw: Draw
    truth: float


def names(prompts, seeds):
    return [f"p{number}" for number in range(prompts) for _ in range(seeds)]


def scale(prompts, seeds):
    """Scores such as MOS: prompts differ, systems differ on prompts, takes differ."""

    def draw(rng):
        hard = rng.normal(0, 1, (prompts, 1))
        first, second = (
            hard + shift + rng.normal(0, 0.4, (prompts, 1)) + rng.normal(0, 1, (prompts, seeds))
            for shift in (0.3, 0.0)
        )
        return tuple(
            ClipValues.means(name, "mos", values.ravel(), names(prompts, seeds))
            for name, values in (("a", first), ("b", second))
        )

    return Design(f"scale, {prompts} x {seeds}", draw, 0.3)


def word_errors(prompts, seeds, rates=(0.12, 0.06)):
    """Word errors: texts of 6 to 39 words, some hard; most takes have few errors (gamma-Poisson)."""

    def draw(rng):
        words = rng.integers(6, 40, (prompts, 1)).astype(float)
        hard = rng.gamma(1.5, 1 / 1.5, (prompts, 1))
        made = []
        for name, rate in zip("ab", rates, strict=True):
            errors = rng.poisson(rng.gamma(0.8, 1 / 0.8, (prompts, seeds)) * hard * words * rate)
            repeated = np.broadcast_to(words, errors.shape)
            made.append(
                ClipValues.ratios(name, "wer", errors.ravel(), repeated.ravel(), names(prompts, seeds))
            )
        return tuple(made)

    return Design(f"word errors, {prompts} x {seeds}", draw, rates[0] - rates[1])


def mean_word_errors(prompts, seeds):
    """The same, as the mean of each clip's rate."""
    design = word_errors(prompts, seeds)

    def draw(rng):
        made = design.draw(rng)
        rates = [one.numerators / one.denominators for one in made]
        return tuple(
            ClipValues.ratios(one.system, "wer_mean", rate, np.ones_like(rate), one.prompts)
            for one, rate in zip(made, rates, strict=True)
        )

    return Design(f"mean {design.name}", draw, design.truth)


def hits(prompts, seeds, rates, concentration=None):
    """Hits and misses; with a ``concentration``, prompts differ (beta, the same order for both systems)."""
    grid = np.linspace(0.0005, 0.9995, 2000)
    at = [
        rate
        if concentration is None
        else stats.beta.ppf(grid, rate * concentration, (1 - rate) * concentration)
        for rate in rates
    ]
    truth = float(np.mean(at[0]) - np.mean(at[1]))

    def draw(rng):
        place = rng.random((prompts, 1))
        rates = [np.interp(place, grid, one) if concentration else one for one in at]
        drawn = [(rng.random((prompts, seeds)) < rate).astype(float).ravel() for rate in rates]
        return tuple(
            ClipValues.rates(name, "detected", one, names(prompts, seeds))
            for name, one in zip("ab", drawn, strict=True)
        )

    return Design(f"hits {rates}, {prompts} x {seeds}, {concentration or 'prompts alike'}", draw, truth)


@dataclass(frozen=True)
class Single:
    """``estimate`` draws one experiment with one system and returns its estimate; ``truth`` is its score."""

    name: str
    estimate: Callable[[np.random.Generator], Estimate]
    truth: float


def single_word_errors(prompts, seeds, rate, loops=0.0):
    """Word errors of one system, as in :func:`word_errors`; a share of ``loops`` has every word wrong."""

    def draw(rng):
        words = rng.integers(6, 40, (prompts, 1)) * np.ones((1, seeds))
        hard = rng.gamma(1.5, 1 / 1.5, (prompts, 1))
        errors = rng.poisson(rng.gamma(0.8, 1 / 0.8, (prompts, seeds)) * hard * words * rate)
        errors = np.where(rng.random((prompts, seeds)) < loops, words, errors)
        return estimate_ratio(errors.ravel().tolist(), words.ravel().tolist(), names(prompts, seeds))

    name = f"word errors {rate:g}, {prompts} x {seeds}" + f", {loops:.0%} lost" * bool(loops)
    return Single(name, draw, rate * (1 - loops) + loops)


def single_hits(prompts, seeds, rate, concentration=None):
    """Hits and misses of one system; with a ``concentration``, prompts differ (beta)."""

    def draw(rng):
        own = np.full((prompts, 1), rate)
        if concentration is not None:
            own = rng.beta(rate * concentration, (1 - rate) * concentration, (prompts, 1))
        hit = (rng.random((prompts, seeds)) < own).astype(float)
        return estimate_rate(hit.ravel().tolist(), names(prompts, seeds))

    return Single(f"hits {rate:g}, {prompts} x {seeds}, {concentration or 'prompts alike'}", draw, rate)


def single_mos(prompts, seeds, mean=4.3):
    """Opinion scores of one system on a scale from 1 to 5, skewed towards its upper end."""
    share = (mean - 1) / 4

    def draw(rng):
        level = rng.beta(6 * share, 6 * (1 - share), (prompts, 1))
        values = 1 + 4 * rng.beta(20 * level, 20 * (1 - level), (prompts, seeds))
        return estimate_mean(values.ravel().tolist(), names(prompts, seeds), MOS)

    return Single(f"opinion scores {mean:g}, {prompts} x {seeds}", draw, mean)


def coverage_of(single, experiments, seed=0):
    """Return in percent how often the interval is below, contains, and is above the true score."""
    rng, below, above = np.random.default_rng(seed), 0, 0
    for _ in range(experiments):
        made = single.estimate(rng)
        if made.low is None or made.high is None:  # no interval is no statement
            continue
        assert made.low <= made.value <= made.high
        below += made.high < single.truth
        above += made.low > single.truth
    return 100 * below / experiments, 100 * (1 - (below + above) / experiments), 100 * above / experiments


def five_systems(prompts, seeds, rng, better=0.0):
    """Five systems by three scores; ``a`` has fewer word errors by the factor 1 - ``better``."""
    words = rng.integers(6, 40, (prompts, 1)).astype(float)
    hard, level = rng.gamma(1.5, 1 / 1.5, (prompts, 1)), rng.normal(0, 1, (prompts, 1))
    values = []
    for name in "abcde":
        rate = 0.1 * (1 - better * (name == "a"))
        errors = rng.poisson(rng.gamma(0.8, 1 / 0.8, (prompts, seeds)) * hard * words * rate)
        opinions = level + rng.normal(0, 0.4, (prompts, 1)) + rng.normal(0, 1, (prompts, seeds))
        hit = (rng.random((prompts, seeds)) < 1 / (1 + np.exp(-level))).astype(float)
        own = names(prompts, seeds)
        repeated = np.broadcast_to(words, errors.shape).ravel()
        values += [
            ClipValues.ratios(name, "wer", errors.ravel(), repeated, own),
            ClipValues.means(name, "mos", opinions.ravel(), own),
            ClipValues.rates(name, "failed", hit.ravel(), own),
        ]
    return values
