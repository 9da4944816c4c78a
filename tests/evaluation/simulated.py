"""Simulated systems with a known true difference, for tests of intervals and of power."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from dia.evaluation.clip_values import ClipValues

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
