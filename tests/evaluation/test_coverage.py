"""How often an interval contains the true difference of simulated systems. Seeds are fixed."""

import numpy as np
import pytest

from dia.evaluation.paired import interval
from tests.evaluation.simulated import hits, mean_word_errors, scale, word_errors

EXPERIMENTS = 2000  # the measured share is exact to 1 point (95 %)

NOMINAL = [
    scale(8, 1),
    scale(12, 3),
    scale(24, 1),
    scale(60, 4),
    word_errors(12, 3),
    word_errors(24, 1),
    word_errors(40, 2),
    word_errors(60, 3),
    mean_word_errors(24, 3),
    hits(24, 1, (0.6, 0.4)),
    hits(24, 3, (0.97, 0.9)),
    hits(24, 5, (0.02, 0.06)),
    hits(60, 1, (0.03, 0.1)),
    hits(60, 3, (0.99, 0.97)),
    hits(100, 1, (0.98, 0.94)),
    hits(12, 4, (0.5, 0.3), 3),
    hits(24, 3, (0.05, 0.02), 2),
]


def coverage(design, experiments, seed=0):
    """Return the share of experiments, in percent, whose interval contains the true difference."""
    rng, inside = np.random.default_rng(seed), 0
    for number in range(experiments):
        first, second = design.draw(rng)
        low, high = interval(first.kind, first.per_prompt(), second.per_prompt(), number) or (np.inf, -np.inf)
        inside += low <= design.truth <= high
    return 100 * inside / experiments


@pytest.mark.parametrize("design", NOMINAL, ids=lambda design: design.name)
def test_a_95_percent_interval_contains_the_truth_93_to_97_times_in_100(design):
    assert 93 <= coverage(design, EXPERIMENTS) <= 97


@pytest.mark.parametrize(
    "design", [hits(10, 1, (0.95, 0.8)), hits(20, 1, (0.97, 0.9))], ids=lambda design: design.name
)
def test_few_hits_and_misses_widen_an_interval_and_never_narrow_it(design):
    """Ten clips have few possible outcomes: no interval can contain the truth exactly 95 times in 100."""
    assert coverage(design, EXPERIMENTS) >= 97


def test_percentiles_of_few_prompts_would_be_too_narrow():
    """The reason for the studentised interval."""
    design, rng, inside = scale(8, 1), np.random.default_rng(0), 0
    for _ in range(400):
        one, other = (values.per_prompt() for values in design.draw(rng))
        drawn = rng.integers(0, 8, (500, 8))
        low, high = np.quantile((one.numerators - other.numerators)[drawn].mean(axis=1), [0.025, 0.975])
        inside += low <= design.truth <= high
    assert inside / 400 < 0.91
