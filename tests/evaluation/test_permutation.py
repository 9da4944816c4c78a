"""The permutation test is exact for few prompts, and as precise far out in the tail as near .05 for many."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dia.evaluation import permutation
from dia.evaluation.clip_values import ClipValues
from dia.evaluation.permutation import permutation_p


def pair(first, second, words=None):
    """Two systems with one take per prompt."""
    names = [f"p{number:04}" for number in range(len(first))]
    words = np.ones((2, len(first))) if words is None else words
    return tuple(
        ClipValues.ratios(name, "wer", values, own, names).per_prompt()
        for name, values, own in zip("ab", (first, second), words, strict=True)
    )


def enumerated(first, second, words):
    """The share of all assignments whose difference is at least as large, one by one."""
    values, far = np.stack((first, second)), 0
    observed = abs(first.sum() / words[0].sum() - second.sum() / words[1].sum())
    for swap in itertools.product((0, 1), repeat=len(first)):
        side, place = np.array(swap), np.arange(len(first))
        one, other = (values[own, place].sum() / words[own, place].sum() for own in (side, 1 - side))
        far += abs(one - other) >= observed * (1 - 1e-9)
    return far / 2 ** len(first)


@given(st.integers(0, 10_000), st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_few_prompts_are_enumerated(seed, prompts):
    rng = np.random.default_rng(seed)
    words = rng.integers(3, 30, (2, prompts)).astype(float)
    first, second = rng.poisson(2, (2, prompts)).astype(float)
    assert permutation_p(*pair(first, second, words)) == pytest.approx(enumerated(first, second, words))


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.8, 1.5, 4.0])
@pytest.mark.parametrize("is_ratio", [False, True])
def test_tilted_draws_agree_with_enumeration(monkeypatch, shift, is_ratio):
    rng = np.random.default_rng(1)
    first, second = rng.exponential(1, (2, 16)) + np.array([[shift], [0]])
    words = rng.integers(5, 9, (2, 16)).astype(float) if is_ratio else None
    exact = permutation_p(*pair(first, second, words))
    monkeypatch.setattr(permutation, "EXACT_PROMPTS", 1)
    assert permutation_p(*pair(first, second, words), seed=3) == pytest.approx(exact, rel=0.06)


@pytest.mark.parametrize("favour", [31, 38, 45, 55, 60])
def test_p_is_not_limited_by_the_number_of_draws(favour):
    """Sixty hits and misses that differ: the exact p-value is binomial, down to 2 / 2**60."""
    first = np.array([1.0] * favour + [0.0] * (60 - favour))
    expected = stats.binomtest(favour, 60).pvalue
    assert permutation_p(*pair(first, 1 - first)) == pytest.approx(expected, rel=0.06)


def test_prompts_that_do_not_differ_change_nothing():
    rng = np.random.default_rng(2)
    first, second = rng.normal(0, 1, (2, 8))
    shared = rng.normal(0, 1, 40)
    few = permutation_p(*pair(first, second))
    many = permutation_p(*pair(np.concatenate((first, shared)), np.concatenate((second, shared))))
    assert many == pytest.approx(few)
    assert permutation_p(*pair(shared, shared)) == 1.0


@pytest.mark.parametrize("prompts", [20, 40])
def test_under_no_difference_5_of_100_tests_of_skewed_errors_are_significant(prompts):
    rng = np.random.default_rng(prompts)
    values = rng.poisson(rng.gamma(0.6, 2.0, (600, 2, prompts))).astype(float)
    low = sum(permutation_p(*pair(*both), seed=place) < 0.05 for place, both in enumerate(values))
    assert 18 <= low <= 44  # 3 to 7 of 100, and as many as binomial variation explains
