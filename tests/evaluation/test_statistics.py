"""Intervals of one system: against scipy and published values, within their range, and their coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dia.evaluation.metrics.result import Contribution, summarise_mean, summarise_rate, summarise_ratio
from dia.evaluation.statistics import (
    difference_of_rates,
    estimate_mean,
    estimate_rate,
    estimate_ratio,
    wilson,
)
from tests.evaluation.simulated import coverage_of, single_hits, single_mos, single_word_errors

EXPERIMENTS = 800  # the measured share is exact to 1.5 points (95 %)


def test_interval_matches_scipy():
    values = np.random.default_rng(0).normal(3, 1, 60)
    ours = estimate_mean(list(values), [str(number) for number in range(60)])
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5000, rng=0
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.03) and ours.high == pytest.approx(
        theirs.high, abs=0.03
    )


def test_takes_of_one_prompt_do_not_narrow_the_interval():
    values = np.random.default_rng(0).normal(3, 1, 20)
    once = estimate_mean(list(values), [str(number) for number in range(20)])
    thrice = estimate_mean(list(np.repeat(values, 3)), [str(number) for number in np.repeat(range(20), 3)])
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high)) and thrice.prompts == 20


@pytest.mark.parametrize("hits, trials", [(7, 7), (0, 5), (3, 10), (56, 70)])
def test_interval_of_a_rate_matches_scipy(hits, trials):
    ours = estimate_rate([1.0] * hits + [0.0] * (trials - hits), [str(number) for number in range(trials)])
    theirs = stats.binomtest(hits, trials).proportion_ci(method="wilson")
    assert (ours.value, ours.low, ours.high) == pytest.approx(
        (hits / trials, theirs.low, theirs.high), abs=1e-6
    )


def test_interval_of_a_difference_is_the_published_one():
    """Newcombe 1998, table II, 56 of 70 against 48 of 80, method 10."""
    rates = [
        estimate_rate([1.0] * hits + [0.0] * (trials - hits), [str(number) for number in range(trials)])
        for hits, trials in ((56, 70), (48, 80))
    ]
    found = difference_of_rates(*rates)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_seeds_of_one_prompt_do_not_narrow_a_rate():
    once, thrice = (estimate_rate([1.0, 0.0, 1.0] * seeds, ["a", "b", "c"] * seeds) for seeds in (1, 3))
    assert (once.low, once.high) == (thrice.low, thrice.high) and thrice.clips == 9


@pytest.mark.parametrize("prompts", [6, 12, 24, 60])
@pytest.mark.parametrize(("seeds", "rate"), [(1, 0.15), (3, 0.06)])
def test_intervals_of_skewed_word_errors_contain_the_truth_93_to_97_times_in_100(prompts, seeds, rate):
    """A bootstrap of their ratio contains it 73 to 88 times; see `scripts/simulate_statistics.py`."""
    _, inside, _ = coverage_of(single_word_errors(prompts, seeds, rate), EXPERIMENTS)
    assert 92 <= inside <= 98


@pytest.mark.parametrize(
    "single", [single_hits(24, 1, 0.7), single_hits(24, 4, 0.5, 3), single_mos(6, 1), single_mos(24, 3)]
)
def test_intervals_of_rates_and_opinions_contain_the_truth_93_to_98_times_in_100(single):
    _, inside, _ = coverage_of(single, EXPERIMENTS)
    assert 92 <= inside <= 98.5


def contributions(values, weights=None, prompts=None):
    weights = [1.0] * len(values) if weights is None else weights
    prompts = range(len(values)) if prompts is None else prompts
    return [
        Contribution(f"p{prompt}", value, weight)
        for prompt, value, weight in zip(prompts, values, weights, strict=True)
    ]


def test_three_hits_of_three_are_not_certain():
    """The bootstrap of a ratio says [1, 1]."""
    for weights in ([1.0, 1.0, 1.0], [0.5, 0.25, 0.25]):
        estimate = summarise_rate("hits", contributions(weights, weights), "none").estimate
        assert estimate.value == 1.0 == estimate.high and estimate.low < 0.5
    no_errors = summarise_ratio("wer", contributions([0.0] * 3, [20.0] * 3), "none").estimate
    assert (no_errors.value, no_errors.low) == (0.0, 0.0)
    assert no_errors.high == pytest.approx(-np.log(0.025) / 60)  # Garwood's interval of no event


@given(st.lists(st.integers(0, 60), min_size=3, max_size=12), st.integers(0, 1000))
def test_an_interval_contains_its_estimate(errors, seed):
    words = np.random.default_rng(seed).integers(1, 40, len(errors)).tolist()
    names = [f"p{number % 5}" for number in range(len(errors))]
    made = estimate_ratio(list(map(float, errors)), list(map(float, words)), names)
    assert 0 <= made.low <= made.value <= made.high
    shares = [error / 60 for error in errors]
    rate = estimate_rate(shares, names)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1 and rate.low < rate.high


@given(st.lists(st.floats(1, 5), min_size=1, max_size=12))
def test_opinion_scores_stay_on_their_scale(values):
    made = summarise_mean("mos", contributions(values), "none", bounds=(1.0, 5.0)).estimate
    if made.low is not None:
        assert 1 <= made.low <= made.value <= made.high <= 5


def test_one_or_two_prompts_have_no_interval():
    """The bootstrap of one prompt says that its value is certain."""
    for prompts in (["p"] * 5, ["p", "p", "q", "q", "q"]):
        mean, ratio = estimate_mean([1.0, 2, 3, 4, 5], prompts), estimate_ratio([1.0] * 5, [9.0] * 5, prompts)
        assert (mean.low, mean.high, ratio.low, ratio.high) == (None,) * 4
    assert estimate_rate([1.0], ["p"]).low < 0.3


@given(st.integers(3, 30), st.integers(1, 4), st.integers(0, 1000))
def test_trials_of_a_rate_lie_between_prompts_and_takes(prompts, takes, seed):
    hit = (np.random.default_rng(seed).random((prompts, takes)) < 0.6).astype(float)
    names = [f"p{number}" for number in range(prompts) for _ in range(takes)]
    made = estimate_rate(hit.ravel().tolist(), names)
    few, many = (np.subtract(*wilson(made.value, size)[::-1]) for size in (prompts, prompts * takes))
    assert many - 1e-9 <= made.high - made.low <= few + 1e-9


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(0).normal(3, 1, 9)
    made = estimate_mean(values.tolist(), [f"p{number}" for number in range(9)])
    theirs = stats.ttest_1samp(values, 0).confidence_interval()
    assert (made.low, made.high) == pytest.approx((theirs.low, theirs.high))
