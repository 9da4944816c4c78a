"""Comparisons of systems against scipy, the closed test and counting, and edge cases without a difference."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats

from dia.evaluation import comparison
from dia.evaluation.clip_values import ClipValues
from dia.evaluation.comparison import compare, compare_all, decidable_family
from dia.evaluation.metrics.result import Contribution, summarise_ratio
from dia.evaluation.multiplicity import holm
from dia.evaluation.paired import influence, interval, studentised_interval
from dia.evaluation.permutation import permutation_p
from dia.evaluation.power import fewest_prompts, prompts_needed, smallest_difference, votes_needed
from dia.evaluation.scoring import clip_values, kind_of
from dia.evaluation.terminal import comparison_table
from tests.evaluation.simulated import five_systems, hits, scale, word_errors

EIGHT = [f"p{number}" for number in range(8)]


def means(name, values, prompts=EIGHT, score="mos"):
    return ClipValues.means(name, score, values, prompts)


@pytest.mark.parametrize("prompts", [2, 5, 10])
def test_exact_permutation_p_is_scipys(prompts):
    random = np.random.default_rng(prompts)
    one, other = random.integers(0, 5, (2, prompts)).astype(float)
    theirs = stats.permutation_test(
        (one, other),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    ours = compare(
        means("a", one, [f"{n:02}" for n in range(prompts)]),
        means("b", other, [f"{n:02}" for n in range(prompts)]),
    )
    assert ours.p == pytest.approx(theirs.pvalue)


def test_permutation_p_of_a_ratio_is_scipys():
    """Both counts of a prompt change sides together; scipy permutes the numbers of the prompts, and looks
    them up.
    """
    random = np.random.default_rng(1)
    words, errors = random.integers(5, 30, (2, 9)).astype(float), random.poisson(3, (2, 9)).astype(float)

    def apart(one, other, axis):
        one, other = one.astype(int), other.astype(int)
        ratios = [
            errors.ravel()[side].sum(axis=axis) / words.ravel()[side].sum(axis=axis) for side in (one, other)
        ]
        return ratios[0] - ratios[1]

    numbers = np.arange(18).reshape(2, 9)
    theirs = stats.permutation_test(tuple(numbers), apart, permutation_type="samples", n_resamples=np.inf)
    prompts = [f"p{number}" for number in range(9)]
    found = compare(
        *(
            ClipValues.ratios(name, "wer", e, w, prompts)
            for name, e, w in zip("ab", errors, words, strict=True)
        )
    )
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.difference == pytest.approx(
        errors[0].sum() / words[0].sum() - errors[1].sum() / words[1].sum()
    )


def test_random_permutations_agree_with_the_exact_test():
    random = np.random.default_rng(2)
    one, other = random.normal(0.4, 1, 20), random.normal(0, 1, 20)
    theirs = stats.permutation_test(
        (one, other),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=50_000,
        rng=0,
    )
    names = [f"{number:02}" for number in range(20)]
    found = permutation_p(means("a", one, names).per_prompt(), means("b", other, names).per_prompt())
    assert found == pytest.approx(theirs.pvalue, abs=0.015)


def test_under_no_difference_p_is_below_5_percent_5_times_in_100():
    random, low = np.random.default_rng(3), 0
    for _ in range(1000):
        values = random.exponential(1, (2, 11))
        names = [str(number) for number in range(11)]
        low += (
            permutation_p(
                means("a", values[0], names).per_prompt(), means("b", values[1], names).per_prompt()
            )
            <= 0.05
        )
    assert 30 <= low <= 70


@pytest.mark.parametrize("effect", [0.2, 0.35, 0.5, 1.0])
def test_prompts_needed_reach_80_percent_and_hardly_more(effect):
    """Against the noncentral t distribution."""

    def power(prompts):
        edge, shift = stats.t.ppf(0.975, prompts - 1), effect * np.sqrt(prompts)
        return stats.nct.sf(edge, prompts - 1, shift) + stats.nct.cdf(-edge, prompts - 1, shift)

    needed = prompts_needed(effect, 1.0)
    assert 0.785 < power(needed) < 0.83 and power(needed - 2) < 0.8
    assert smallest_difference(needed, 1.0) <= effect < smallest_difference(needed - 1, 1.0)


@pytest.mark.parametrize(
    ("build", "low", "high"),
    [(scale, 0.76, 0.84), (word_errors, 0.8, 0.93), (lambda *size: hits(*size, (0.7, 0.5)), 0.7, 0.82)],
    ids=["scale", "word errors", "hits"],
)
def test_the_number_of_prompts_needed_detects_a_difference_80_times_in_100(build, low, high):
    """The deviation of one large experiment says how many prompts are needed; experiments of that size then
    find it.

    The normal form is exact for a scale. Hits tie with many of their permutations, which costs the test a
    little; counts are skewed towards the difference, which helps it.
    """
    random = np.random.default_rng(0)
    pilot = build(20_000, 2)
    deviation = influence(*(values.per_prompt() for values in pilot.draw(random))).std()
    needed = prompts_needed(pilot.truth, float(deviation))
    found = 0
    for number in range(400):
        one, other = (values.per_prompt() for values in build(needed, 2).draw(random))
        found += permutation_p(one, other, number) <= 0.05
    assert low <= found / 400 <= high


@pytest.mark.parametrize(("share", "votes"), [(0.65, 85), (0.6, 194), (0.55, 783), (0.4, 194)])
def test_votes_needed_are_the_known_ones(share, votes):
    assert votes_needed(share) == votes


def test_the_studentised_interval_is_that_of_resampling_step_by_step():
    """Each resample drawn, its figures and its standard error found from its own prompts, as the definition
    says.
    """
    random = np.random.default_rng(4)
    one, other = (values.per_prompt() for values in word_errors(15, 2).draw(random))
    tops, bottoms = (
        np.stack((one.numerators, other.numerators)),
        np.stack((one.denominators, other.denominators)),
    )

    def figures(chosen):
        top, bottom = tops[:, chosen], bottoms[:, chosen]
        ratio = top.sum(axis=1) / bottom.sum(axis=1)
        moves = (top - ratio[:, None] * bottom) / bottom.mean(axis=1, keepdims=True)
        return ratio[0] - ratio[1], np.std(moves[0] - moves[1], ddof=1) / np.sqrt(len(chosen))

    middle, error = figures(np.arange(15))
    drawn = [figures(random.integers(0, 15, 15)) for _ in range(20_000)]
    reach = error * np.quantile([abs(found - middle) / spread for found, spread in drawn], 0.9)
    assert studentised_interval(one, other, 0.9) == pytest.approx(
        (middle - reach, middle + reach), abs=0.08 * reach
    )


def test_no_number_of_prompts_detects_no_difference():
    assert (
        prompts_needed(0.0, 1.0) is None and votes_needed(0.5) is None and smallest_difference(2, 1.0) is None
    )


def test_takes_of_one_prompt_do_not_narrow_an_interval():
    values = np.random.default_rng(0).normal(0, 1, (2, 8))
    once, thrice = (
        compare(
            *(
                means(name, np.repeat(one, takes), np.repeat(EIGHT, takes))
                for name, one in zip("ab", values, strict=True)
            )
        )
        for takes in (1, 3)
    )
    assert (thrice.low, thrice.high, thrice.p) == pytest.approx(
        (once.low, once.high, once.p)
    ) and thrice.seeds == (3, 3)
    hit = (values > 0).astype(float)
    once, thrice = (
        compare(
            *(
                ClipValues.rates(n, "heard", np.repeat(one, takes), np.repeat(EIGHT, takes))
                for n, one in zip("ab", hit, strict=True)
            )
        )
        for takes in (1, 3)
    )
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))


@given(st.integers(0, 10_000))
def test_swapping_the_systems_swaps_the_signs(seed):
    one, other = np.random.default_rng(seed).normal(0, 1, (2, 8))
    there, back = compare(means("a", one), means("b", other)), compare(means("b", other), means("a", one))
    assert (there.difference, there.low, there.high) == pytest.approx(
        (-back.difference, -back.high, -back.low)
    )
    assert there.p == back.p and there.low < there.difference < there.high


@given(st.lists(st.sampled_from([(0, 0), (1, 1), (1, 0)]), min_size=2, max_size=40))
def test_an_interval_of_rates_contains_its_difference(pairs):
    """Prompts that are added to rates pull the interval towards zero."""
    names = [f"p{number}" for number in range(len(pairs))]
    found = compare(
        *(
            ClipValues.rates(name, "failed", values, names)
            for name, values in zip("ab", zip(*pairs, strict=True), strict=True)
        )
    )
    assert -1 <= found.low <= found.difference <= found.high <= 1


def test_unmeasured_prompts_are_left_out_and_counted():
    first = means("a", [1, 2, float("nan"), 4, 5, 6, 7, 8])
    second = means("b", [1, 1, 3, 3, 5, 5, 7, 7, 0], [*EIGHT, "more"])
    found = compare(first, second)
    assert (found.prompts, found.left_out, found.failures) == (7, 2, (1, 0))
    assert found.difference == pytest.approx(np.mean([0, 1, 1, 0, 1, 0, 1]))


def test_a_prompt_with_fewer_takes_weighs_as_much_as_any_other():
    first = means("a", [1, 1, 1, 5], ["p", "p", "p", "q"])
    assert compare(first, means("b", [0, 0], ["p", "q"])).difference == 3


def test_systems_that_never_differ_have_no_interval_and_rates_keep_one():
    same = [3.0] * 8
    found = compare(means("a", same), means("b", same))
    assert (found.difference, found.low, found.high, found.p, found.prompts_needed) == (
        0,
        None,
        None,
        1,
        None,
    )
    perfect = compare(*(ClipValues.rates(name, "heard", [1.0] * 8, EIGHT) for name in "ab"))
    assert perfect.low == pytest.approx(-perfect.high) and 0.2 < perfect.high < 0.5
    assert "no prompt differs" in drawn([found])


def drawn(comparisons):
    console = Console(width=220, record=True, file=io.StringIO())
    console.print(comparison_table(comparisons))
    return console.export_text()


def test_all_pairs_of_all_scores_are_one_family():
    random = np.random.default_rng(0)
    values = [
        means(name, random.normal(shift, 1, 8), score=score)
        for score in ("mos", "pace")
        for name, shift in zip("abc", (0, 1, 2), strict=True)
    ]
    found = compare_all(values)
    assert [(one.score, one.first, one.second) for one in found] == [
        (score, *pair) for score in ("mos", "pace") for pair in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    most = holm([one.p for one in found])
    assert all(one.p <= one.p_holm <= limit for one, limit in zip(found, most, strict=True))
    assert "a - c" in drawn(found) and compare_all(values[:1]) == []


def test_unmeasured_clips_are_counted_as_failures():
    partial, silent = means("a", [*range(7), float("nan")]), means("b", [float("nan")] * 8)
    assert partial.per_prompt().numerators.mean() == 3
    assert (len(partial.per_prompt().prompts), partial.seeds, partial.failures) == (7, 1, 1)
    assert silent.failures == 8 and not silent.measured.any() and silent.per_prompt().prompts == ()
    with pytest.raises(ValueError, match="no measured prompt in common"):
        compare(means("a", range(8)), silent)


def test_results_become_the_values_of_a_comparison():
    results = {
        system: summarise_ratio(
            "wer", [Contribution(prompt, errors, 10) for prompt, errors in counts], "none"
        )
        for system, counts in (("a", [("p", 1), ("q", 2)]), ("b", [("q", 4)]))
    }
    kind = kind_of([item for result in results.values() for item in result.contributions])
    first, second = (clip_values(system, result, kind) for system, result in results.items())
    assert [result.measured.value for result in results.values()] == [pytest.approx(0.15), 0.4]
    found = compare(first, second)
    assert found.difference == pytest.approx(-0.2) and (found.prompts, found.left_out) == (1, 1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ClipValues.means("a", "mos", [1.0], ["p", "q"]), "2 prompts, 1 values"),
        (lambda: ClipValues.rates("a", "heard", [1.5], ["p"]), "rates from 1.5"),
        (lambda: ClipValues.ratios("a", "wer", [1.0], [-1.0], ["p"]), "below 0"),
        (lambda: ClipValues.means("a", "mos", [float("inf")], ["p"]), "infinite"),
        (lambda: compare(means("a", range(8)), means("b", range(8), score="pace")), "cannot be compared"),
    ],
)
def test_wrong_values_are_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("prompts", [2, 3, 4, 5])
@pytest.mark.parametrize("build", [scale, word_errors, lambda *size: hits(*size, (0.7, 0.5))])
def test_very_few_shared_prompts_are_compared_and_never_decide(build, prompts):
    """Two shared prompts once asked for a quantile of 1.015."""
    found = compare(*build(prompts, 2).draw(np.random.default_rng(0)))
    assert found.prompts == prompts and found.p >= 2 / 2**prompts and not found.shown and not found.can_decide
    assert found.low is None or found.low <= found.difference <= found.high
    assert found.fewest_prompts == 6 and (found.prompts_needed is None or found.prompts_needed >= 6)


@pytest.mark.parametrize(("build", "least"), [(scale, 93), (word_errors, 90)])
def test_intervals_of_four_shared_prompts_are_wide_enough(build, least):
    design, rng, inside = build(4, 2), np.random.default_rng(0), 0
    for _ in range(800):
        first, second = design.draw(rng)
        low, high = interval(first.kind, first.per_prompt(), second.per_prompt()) or (np.inf, -np.inf)
        inside += low <= design.truth <= high
    assert inside / 8 >= least


@pytest.mark.parametrize(("tests", "fewest"), [(1, 6), (3, 7), (30, 11), (100, 12)])
def test_fewer_prompts_than_the_fewest_cannot_reach_the_level(tests, fewest):
    assert fewest_prompts(tests) == fewest
    assert tests * 2 / 2**fewest < 0.05 <= tests * 2 / 2 ** (fewest - 1)
    assert prompts_needed(5.0, 1.0, tests=tests) >= fewest


def test_more_tests_need_more_prompts():
    one, thirty = (prompts_needed(0.3, 1.0, tests=tests) for tests in (1, 30))
    edge, shift = stats.t.ppf(1 - 0.025 / 30, thirty - 1), 0.3 * np.sqrt(thirty)
    assert one < thirty and 0.79 < stats.nct.sf(edge, thirty - 1, shift) < 0.82
    assert smallest_difference(thirty, 1.0, tests=30) == pytest.approx(0.3, rel=0.01)


def test_exploratory_scores_have_intervals_and_no_tests():
    random = np.random.default_rng(0)
    values = [
        means(name, random.normal(2 * place, 1, 8), score=score)
        for score in ("mos", "pace")
        for place, name in enumerate("abc")
    ]
    found = compare_all(values, is_primary=lambda first, second: first.score == "mos")
    tested, exploratory = found[:3], found[3:]
    most = holm([one.p for one in tested])
    assert all(one.p <= one.p_holm <= limit for one, limit in zip(tested, most, strict=True))
    assert {one.tests for one in tested} == {3} and all(one.primary for one in tested)
    assert {(one.p, one.p_holm, one.tests, one.shown) for one in exploratory} == {(None, None, 0, False)}
    assert all(one.low < one.difference < one.high for one in exploratory)
    assert drawn(exploratory).count(" - ") >= 3


def test_a_pair_without_shared_prompts_removes_no_other_pair_and_weakens_none():
    random = np.random.default_rng(0)
    first, second = means("a", random.normal(3, 1, 8)), means("b", random.normal(0, 1, 8))
    elsewhere = means("c", random.normal(0, 1, 8), [f"q{number}" for number in range(8)])
    two_shared = means("d", [1.0, 2.0], EIGHT[:2])
    found = compare_all([first, second, elsewhere, two_shared])
    pairs = {(one.first, one.second): one for one in found}
    assert set(pairs) == {("a", "b"), ("a", "d"), ("b", "d")}
    assert pairs["a", "b"].tests == 1 and pairs["a", "b"].p_holm == pairs["a", "b"].p < 0.05
    assert pairs["a", "d"].p_holm == 1.0


@given(st.lists(st.integers(0, 12), min_size=1, max_size=12))
def test_a_test_that_cannot_be_significant_weakens_no_other(differing):
    attainable = [min(1.0, 2.0 ** (1 - count)) for count in differing]
    tested, size = decidable_family(attainable)
    assert sum(tested) <= size <= len(differing)
    for p, is_tested in zip(attainable, tested, strict=True):
        assert is_tested is (p < 0.05 / size)  # each can be significant in the family, and no other


def test_a_family_of_too_few_prompts_says_how_many_it_needs():
    random = np.random.default_rng(0)
    six = EIGHT[:6]
    values = [
        means(name, random.normal(shift, 0.1, 6), six, score)
        for score in ("mos", "pace")
        for name, shift in (("a", 9), ("b", 0))
    ]
    found = compare_all(values)
    assert [(one.p, one.p_holm, one.tests, one.fewest_prompts) for one in found] == 2 * [(2 / 64, 1.0, 2, 7)]
    assert not any(one.can_decide for one in found)


def test_systems_that_never_fail_cost_the_other_scores_nothing():
    random = np.random.default_rng(0)
    values = [means(name, random.normal(shift, 1, 8)) for name, shift in (("a", 3), ("b", 0))]
    alone = compare_all(values)
    values += [ClipValues.rates(name, "failed", [0.0] * 8, EIGHT) for name in "ab"]
    found = compare_all(values)
    assert found[0] == alone[0] and found[0].shown
    assert (found[1].p, found[1].p_holm, found[1].primary) == (1.0, 1.0, True)


@pytest.mark.slow
def test_five_equal_systems_are_rarely_distinguished(monkeypatch):
    """At most 5 of 100 families; `scripts/simulate_statistics.py` counts more of them."""
    monkeypatch.setattr(comparison, "interval", lambda *_: None)
    wrong = sum(
        any(one.shown for one in compare_all(five_systems(12, 2, np.random.default_rng(seed))))
        for seed in range(60)
    )
    assert wrong <= 8  # of 60, more than which 5 % give less than once in 100 times
