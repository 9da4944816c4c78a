"""Strengths from votes: against choix, against a general optimizer, on votes with known strengths, and at the
edges.
"""

import choix
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dia.listening_test.answers import Vote
from dia.listening_test.davidson import fit, pairs_of, probabilities
from dia.listening_test.result import agreement, left_share, win_matrix
from dia.listening_test.strengths import fit_votes
from tests.listening_test.voting import simulate

THREE = {"a": 0.5, "b": 0.0, "c": -0.5}


def vote(listener, prompt, outcome, first="a", second="b"):
    return Vote(str(listener), str(prompt), first, second, outcome, True)


@given(st.lists(st.integers(1, 30), min_size=12, max_size=12))
@settings(max_examples=30)
def test_without_ties_strengths_are_those_of_choix(wins):
    counts = np.zeros((6, 3))
    counts[:, 0], counts[:, 2] = wins[:6], wins[6:]
    data = []
    for (one, other), (first, _, second) in zip(pairs_of(4), counts, strict=True):
        data += [(one, other)] * int(first) + [(other, one)] * int(second)
    strengths, tie = fit(counts, 4)
    assert strengths == pytest.approx(choix.opt_pairwise(4, data, alpha=0, method="BFGS"), abs=1e-3)
    assert np.isneginf(tie)


@given(st.lists(st.integers(1, 30), min_size=9, max_size=9))
@settings(max_examples=30)
def test_with_ties_no_other_parameters_are_likelier(counts):
    """Davidson's likelihood, written down once more from the paper (odds and nu), and a general optimizer."""
    counts = np.array(counts, dtype=float).reshape(3, 3)
    strengths, tie = fit(counts, 3)

    def loss(values):
        odds, readiness, total = np.exp(np.append(values[:2], -values[:2].sum())), np.exp(values[2]), 0.0
        for (one, other), row in zip(pairs_of(3), counts, strict=True):
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


def test_many_fits_at_once_are_the_fits_one_by_one():
    counts = np.random.default_rng(0).poisson(4, (50, 6, 3)).astype(float)
    counts[::2, :, 1] = 0
    strengths, ties = fit(counts, 4)
    alone = [fit(one, 4) for one in counts]
    assert strengths == pytest.approx(np.array([one for one, _ in alone]), abs=1e-7)
    assert ties == pytest.approx(np.array([tie for _, tie in alone]), abs=1e-7)


def test_expected_votes_give_their_strengths_back():
    strengths = np.array([0.7, 0.1, -0.2, -0.6])
    found, tie = fit(1000 * probabilities(strengths, -0.4), 4)
    assert found == pytest.approx(strengths, abs=1e-6) and tie == pytest.approx(-0.4, abs=1e-6)


def test_votes_give_the_order_and_the_raw_counts():
    votes = simulate(THREE, -0.5, 12, 10, np.random.default_rng(0))
    found = fit_votes(votes)
    assert [one.system for one in found.strengths] == ["a", "b", "c"] and found.tie == pytest.approx(
        -0.5, abs=0.35
    )
    assert sum(sum(row.values()) for row in win_matrix(found).values()) == sum(
        vote.outcome != 0 for vote in votes
    )
    first = found.preferences[0]
    counted = [vote.outcome for vote in votes if (vote.first, vote.second) == ("a", "b")]
    assert (first.wins, first.ties, first.losses) == tuple(counted.count(one) for one in (1, 0, -1))
    assert all(one.low < one.value < one.high for one in found.strengths)


@pytest.mark.parametrize("taste", [0.0, 0.7], ids=["independent votes", "listeners and prompts with tastes"])
def test_intervals_hold_known_strengths_with_and_without_tastes(taste):
    """With tastes, votes hang together; what is estimated is the difference that the average listener and
    prompt would see.
    """
    truth = apart_in_the_end(taste)
    random, held, wide = np.random.default_rng(1), 0, []
    for number in range(120):
        one = fit_votes(
            simulate({"a": 0.3, "b": 0.0, "c": -0.3}, -0.5, 15, 15, random, taste), number, 150
        ).preferences[1]
        low, high = (np.log(share / (1 - share)) for share in (one.low, one.high))
        held += low <= truth <= high
        wide.append(high - low)
    assert 0.91 <= held / 120 <= 0.99, (held, np.mean(wide))


def apart_in_the_end(taste):
    """Strength of a over c that endless votes would show: tastes flatten the shares that the model sees."""
    random, counts = np.random.default_rng(9), np.zeros((3, 3))
    liking = np.array([0.3, 0.0, -0.3]) + taste * random.standard_normal((100_000, 2, 3)).sum(axis=1)
    for place, (one, other) in enumerate(pairs_of(3)):
        weights = np.exp(
            np.stack(
                [liking[:, one], -0.5 + (liking[:, one] + liking[:, other]) / 2, liking[:, other]], axis=1
            )
        )
        counts[place] = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
    strengths, _ = fit(counts, 3)
    return strengths[0] - strengths[2]


def test_a_hundred_votes_of_one_listener_are_not_a_hundred_votes():
    """Everybody agrees with himself: copies of one opinion must not narrow the interval as new listeners
    would.
    """
    random = np.random.default_rng(0)
    opinions = [int(random.choice([1, -1], p=[0.6, 0.4])) for _ in range(12)]
    once = fit_votes(
        [vote(n, p, outcome) for n, outcome in enumerate(opinions) for p in range(2)]
    ).preferences[0]
    often = fit_votes(
        [vote(n, p, outcome) for n, outcome in enumerate(opinions) for p in range(20)]
    ).preferences[0]
    assert often.share == pytest.approx(once.share) and often.high - often.low > 0.35
    assert often.votes_needed > 5 * 85 * 0.5


def test_a_system_that_always_wins_is_unbounded():
    found = fit_votes([vote(n, p, 1) for n in range(4) for p in range(4)])
    assert (
        found.strengths[0].system == "a"
        and found.strengths[0].high is None
        and found.preferences[0].share > 0.999
    )


def test_systems_that_never_met_are_not_put_on_one_scale():
    votes = [vote(1, 1, 1), vote(1, 2, -1), vote(1, 1, 1, "c", "d"), vote(1, 2, -1, "c", "d")]
    with pytest.raises(ValueError, match=r"c, d and a are linked by no chain of votes"):
        fit_votes(votes)


def test_agreement_has_the_right_ends():
    random = np.random.default_rng(0)
    assert agreement([vote(n, p, (1, 0, -1)[p % 3]) for n in range(4) for p in range(9)]) == 1
    assert agreement([vote(n, p, 1) for n in range(4) for p in range(9)]) == 1
    assert (
        abs(agreement([vote(n, p, int(random.integers(-1, 2))) for n in range(12) for p in range(60)])) < 0.05
    )
    assert (
        agreement([vote(1, 1, 1), vote(2, 2, -1)]) is None
        and agreement([vote(n, 1, 0) for n in range(3)]) is None
    )


def test_agreement_by_hand():
    """Two listeners disagree on 4 of 10: observed .4; of 40 values half are each way: expected 2 * 20 * 20 /
    (40 * 39).
    """
    first, second = ([-1, 1, -1, -1, -1, -1, -1, -1, 1, -1], [1, 1, 1, -1, -1, 1, -1, -1, -1, -1])
    votes = [
        vote(rater, item, value)
        for rater, row in enumerate((first, second))
        for item, value in enumerate(row)
    ]
    assert agreement(votes) == pytest.approx(1 - 0.4 / (800 / 1560))


def test_agreement_does_not_know_which_system_is_named_first():
    votes = simulate({"a": 1.0, "b": -1.0}, -0.5, 6, 10, np.random.default_rng(0), per_listener=7)
    turned = [
        vote(one.listener, one.prompt_id, -one.outcome if int(one.prompt_id[1:]) % 2 else one.outcome)
        for one in votes
    ]
    assert agreement(votes) == pytest.approx(agreement(turned))


def test_a_bias_for_the_left_is_seen():
    votes = [Vote("1", str(n), "a", "b", 1 if n % 2 else -1, bool(n % 2)) for n in range(10)]
    assert left_share(votes) == 1 and left_share([vote(1, 1, 0)]) is None
