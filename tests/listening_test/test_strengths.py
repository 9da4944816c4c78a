"""Strengths from votes: against choix and a general optimizer, with known strengths, and in extreme cases."""

import choix
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dia.listening_test.answers import Vote
from dia.listening_test.davidson import fit_davidson, system_pairs
from dia.listening_test.result import agreement, left_share, win_matrix
from dia.listening_test.strengths import fit_votes
from tests.listening_test.simulated_votes import simulate

THREE = {"a": 0.5, "b": 0.0, "c": -0.5}


def vote(listener, prompt, outcome, first="a", second="b"):
    return Vote(str(listener), str(prompt), first, second, outcome, True)


@given(st.lists(st.integers(1, 30), min_size=12, max_size=12))
@settings(max_examples=30)
def test_without_ties_strengths_equal_those_of_choix(wins):
    counts = np.zeros((6, 3))
    counts[:, 0], counts[:, 2] = wins[:6], wins[6:]
    data = []
    for (one, other), (first, _, second) in zip(system_pairs(4), counts, strict=True):
        data += [(one, other)] * int(first) + [(other, one)] * int(second)
    strengths, tie = fit_davidson(counts, 4)
    assert strengths == pytest.approx(choix.opt_pairwise(4, data, alpha=0, method="BFGS"), abs=1e-3)
    assert np.isneginf(tie)


@given(st.lists(st.integers(1, 30), min_size=9, max_size=9))
@settings(max_examples=30)
def test_with_ties_the_likelihood_is_at_its_maximum(counts):
    """Maximize Davidson's likelihood, as in the paper (odds and nu), with a general optimizer."""
    counts = np.array(counts, dtype=float).reshape(3, 3)
    strengths, tie = fit_davidson(counts, 3)

    def loss(values):
        odds, readiness, total = np.exp(np.append(values[:2], -values[:2].sum())), np.exp(values[2]), 0.0
        for (one, other), row in zip(system_pairs(3), counts, strict=True):
            shared = readiness * np.sqrt(odds[one] * odds[other])
            total -= row @ np.log(
                np.array([odds[one], shared, odds[other]]) / (odds[one] + odds[other] + shared)
            )
        return total

    ours = np.array([*strengths[:2], tie])
    best = minimize(
        loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 5000}
    )
    assert loss(ours) <= best.fun + 1e-7 and ours == pytest.approx(best.x, abs=1e-3)


def test_many_fits_at_once_equal_single_fits():
    counts = np.random.default_rng(0).poisson(4, (50, 6, 3)).astype(float)
    counts[::2, :, 1] = 0
    strengths, ties = fit_davidson(counts, 4)
    single = [fit_davidson(one, 4) for one in counts]
    assert strengths == pytest.approx(np.array([one for one, _ in single]), abs=1e-7)
    assert ties == pytest.approx(np.array([tie for _, tie in single]), abs=1e-7)


def test_expected_votes_recover_their_strengths():
    strengths = np.array([0.7, 0.1, -0.2, -0.6])
    counts = np.zeros((6, 3))
    for row, (one, other) in zip(counts, system_pairs(4), strict=True):
        middle = (strengths[one] + strengths[other]) / 2
        odds = np.exp([strengths[one], -0.4 + middle, strengths[other]])
        row[:] = 1000 * odds / odds.sum()
    estimated, tie = fit_davidson(counts, 4)
    assert estimated == pytest.approx(strengths, abs=1e-6) and tie == pytest.approx(-0.4, abs=1e-6)


def test_the_model_has_the_order_and_the_raw_counts():
    votes = simulate(THREE, -0.5, 12, 10, np.random.default_rng(0))
    model = fit_votes(votes)
    assert [one.system for one in model.strengths] == ["a", "b", "c"] and model.tie == pytest.approx(
        -0.5, abs=0.35
    )
    assert sum(sum(row.values()) for row in win_matrix(model).values()) == sum(
        vote.outcome != 0 for vote in votes
    )
    first = model.preferences[0]
    counted = [vote.outcome for vote in votes if (vote.first, vote.second) == ("a", "b")]
    assert (first.wins, first.ties, first.losses) == tuple(counted.count(one) for one in (1, 0, -1))
    assert all(one.low < one.value < one.high for one in model.strengths)


@pytest.mark.parametrize("taste", [0.0, 0.7], ids=["independent votes", "correlated votes"])
def test_intervals_cover_known_strengths_with_and_without_correlated_votes(taste):
    """The estimand with tastes is the difference for the average listener and prompt."""
    truth = asymptotic_difference(taste)
    rng, covered, widths = np.random.default_rng(1), 0, []
    for number in range(120):
        one = fit_votes(
            simulate({"a": 0.3, "b": 0.0, "c": -0.3}, -0.5, 15, 15, rng, taste), number, 150
        ).preferences[1]
        low, high = (np.log(share / (1 - share)) for share in (one.low, one.high))
        covered += low <= truth <= high
        widths.append(high - low)
    assert 0.91 <= covered / 120 <= 0.99, (covered, np.mean(widths))


def asymptotic_difference(taste):
    """Return the strength of a minus c in the limit of infinite votes; tastes flatten the shares."""
    rng, counts = np.random.default_rng(9), np.zeros((3, 3))
    liking = np.array([0.3, 0.0, -0.3]) + taste * rng.standard_normal((100_000, 2, 3)).sum(axis=1)
    for index, (one, other) in enumerate(system_pairs(3)):
        weights = np.exp(
            np.stack(
                [liking[:, one], -0.5 + (liking[:, one] + liking[:, other]) / 2, liking[:, other]], axis=1
            )
        )
        counts[index] = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
    strengths, _ = fit_davidson(counts, 3)
    return strengths[0] - strengths[2]


def test_repeated_votes_of_one_listener_do_not_narrow_the_interval():
    """Copies of one listener's opinion must not narrow the interval as votes of new listeners would."""
    rng = np.random.default_rng(0)
    opinions = [int(rng.choice([1, -1], p=[0.6, 0.4])) for _ in range(12)]
    once = fit_votes(
        [vote(n, p, outcome) for n, outcome in enumerate(opinions) for p in range(2)]
    ).preferences[0]
    often = fit_votes(
        [vote(n, p, outcome) for n, outcome in enumerate(opinions) for p in range(20)]
    ).preferences[0]
    assert often.share == pytest.approx(once.share) and often.high - often.low > 0.35
    assert often.votes_needed > 5 * 85 * 0.5


def test_a_system_that_always_wins_is_unbounded():
    model = fit_votes([vote(n, p, 1) for n in range(4) for p in range(4)])
    assert (
        model.strengths[0].system == "a"
        and model.strengths[0].high is None
        and model.preferences[0].share > 0.999
    )


def test_systems_without_a_chain_of_votes_are_rejected():
    votes = [vote(1, 1, 1), vote(1, 2, -1), vote(1, 1, 1, "c", "d"), vote(1, 2, -1, "c", "d")]
    with pytest.raises(ValueError, match=r"no chain of votes connects c, d with a"):
        fit_votes(votes)


def test_agreement_is_1_for_equal_and_0_for_random_votes():
    rng = np.random.default_rng(0)
    assert agreement([vote(n, p, (1, 0, -1)[p % 3]) for n in range(4) for p in range(9)]) == 1
    assert agreement([vote(n, p, 1) for n in range(4) for p in range(9)]) == 1
    assert abs(agreement([vote(n, p, int(rng.integers(-1, 2))) for n in range(12) for p in range(60)])) < 0.05
    assert (
        agreement([vote(1, 1, 1), vote(2, 2, -1)]) is None
        and agreement([vote(n, 1, 0) for n in range(3)]) is None
    )


def test_agreement_equals_a_manual_calculation():
    """Two listeners disagree on 4 of 10: .4 observed, 2 * 20 * 20 / (40 * 39) expected."""
    first, second = ([-1, 1, -1, -1, -1, -1, -1, -1, 1, -1], [1, 1, 1, -1, -1, 1, -1, -1, -1, -1])
    votes = [
        vote(rater, item, value)
        for rater, row in enumerate((first, second))
        for item, value in enumerate(row)
    ]
    assert agreement(votes) == pytest.approx(1 - 0.4 / (800 / 1560))


def test_agreement_is_independent_of_the_order_of_system_names():
    votes = simulate({"a": 1.0, "b": -1.0}, -0.5, 6, 10, np.random.default_rng(0), per_listener=7)
    swapped = [
        vote(one.listener, one.prompt_id, -one.outcome if int(one.prompt_id[1:]) % 2 else one.outcome)
        for one in votes
    ]
    assert agreement(votes) == pytest.approx(agreement(swapped))


def test_a_bias_for_the_left_is_reported():
    votes = [Vote("1", str(n), "a", "b", 1 if n % 2 else -1, bool(n % 2)) for n in range(10)]
    assert left_share(votes) == 1 and left_share([vote(1, 1, 0)]) is None
