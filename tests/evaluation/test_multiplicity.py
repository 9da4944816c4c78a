"""Corrected p-values: at most Holm's, and exact where all assignments of signs can be enumerated."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.evaluation.multiplicity import TestFamily, holm


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_holm_is_the_closed_test_of_bonferroni(values):
    """A hypothesis is rejected when every family that contains it is: the principle that Holm's steps are a
    shortcut of.
    """
    expected = []
    for place in range(len(values)):
        others = [number for number in range(len(values)) if number != place]
        families = [
            (place, *rest) for size in range(len(values)) for rest in itertools.combinations(others, size)
        ]
        expected.append(
            max(min(1.0, len(family) * min(values[number] for number in family)) for family in families)
        )
    assert holm(values) == pytest.approx(expected)


def test_holm_of_nothing_is_nothing():
    assert holm([]) == []


def p_of_signs(moves_PK, signs):
    """The p-values of the tests (K,) when the differences have these signs, from all assignments."""
    sizes = np.array(
        [np.abs(np.array(row) @ moves_PK) for row in itertools.product((1, -1), repeat=len(moves_PK))]
    )
    return np.mean(sizes >= np.abs(np.array(signs) @ moves_PK) - 1e-9, axis=0)


def rejected_by_westfall_and_young(moves_PK):
    """Which tests the step-down procedure of the smallest p-value rejects at 5 %, by its definition."""
    prompts, tests = moves_PK.shape
    all_p = np.array([p_of_signs(moves_PK, row) for row in itertools.product((1, -1), repeat=prompts)])
    observed = p_of_signs(moves_PK, np.ones(prompts))
    rejected = np.zeros(tests, dtype=bool)
    for place in np.argsort(observed, kind="stable"):
        remaining = ~rejected
        if np.mean(all_p[:, remaining].min(axis=1) <= observed[place] + 1e-12) > 0.05:
            break
        rejected[place] = True
    return rejected


@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.0, 0.7, 1.5]))
@settings(max_examples=25, deadline=None)
def test_the_steps_reject_what_the_definition_rejects(seed, tests, effect):
    moves_PK = np.random.default_rng(seed).normal(effect, 1, (8, tests))
    p_values = p_of_signs(moves_PK, np.ones(8))
    order = np.argsort(p_values, kind="stable").tolist()
    adjusted = np.array(holm(p_values.tolist(), TestFamily(moves_PK).counts(order)))
    assert (adjusted < 0.05).tolist() == rejected_by_westfall_and_young(moves_PK).tolist()
    assert np.all(adjusted <= np.array(holm(p_values.tolist())) + 1e-12) and np.all(adjusted >= p_values)


@pytest.mark.parametrize("prompts", [12, 40])
def test_equal_tests_count_once_and_independent_ones_fully(prompts):
    random = np.random.default_rng(0)
    one = random.normal(0, 1, (prompts, 1))
    assert TestFamily(np.repeat(one, 20, axis=1)).effective() == 1.0
    count = TestFamily(random.normal(0, 1, (prompts, 5))).effective()
    assert 4.2 < count <= 5  # 4.9 without any dependence: .05 / (1 - .95 ** (1 / 5))


def test_the_same_data_always_have_the_same_counts():
    moves_PK = np.random.default_rng(0).exponential(1, (30, 6))
    first, again = (TestFamily(moves_PK, seed=3).counts(range(6)) for _ in range(2))
    assert first == again and first == sorted(first, reverse=True) and first[-1] == 1.0
