"""Estimate strengths from votes, with confidence intervals that account for dependent votes.

Votes of one listener and votes on one prompt are correlated. Three bootstraps of the whole fit resample
listeners, prompts and single votes. With V the variance of each, ``V(listeners) + V(prompts) - V(votes)`` is
the variance under both kinds of dependence; it is never less than the larger of the first two. Resampling
listeners and prompts together would count the variance of single votes three times. Sources: A. C. Cameron,
J. B. Gelbach, D. L. Miller, "Robust inference with multiway clustering", 2011; A. B. Owen, "The pigeonhole
bootstrap", 2007.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dia.evaluation.clip_values import Floats
from dia.evaluation.multiplicity import holm
from dia.evaluation.power import votes_needed
from dia.listening_test.answers import Vote
from dia.listening_test.davidson import LIMIT, OUTCOMES, fit_davidson, system_pairs

RESAMPLES = 500


@dataclass(frozen=True)
class Strength:
    """A system's strength (log, mean 0) with its 95 % interval; a bound of None is unbounded."""

    system: str
    value: float
    low: float | None
    high: float | None
    votes: int


@dataclass(frozen=True)
class Preference:
    """``share``: the modelled probability that a preference is for ``first``, with its 95 % interval.

    ``wins``, ``ties`` and ``losses`` are the votes on this pair, ``p_holm`` is corrected over all pairs.
    ``votes_needed`` votes would detect this share with 80 % power, for listeners, prompts and ties like
    these.
    """

    first: str
    second: str
    wins: int
    ties: int
    losses: int
    share: float
    low: float
    high: float
    p: float
    p_holm: float
    votes_needed: int | None


@dataclass(frozen=True)
class PreferenceModel:
    """The fitted model: all systems, strongest first, and all pairs."""

    strengths: list[Strength]
    preferences: list[Preference]
    tie: float
    counts: Floats
    systems: list[str]


@dataclass(frozen=True)
class _VoteTable:
    """The pair and the outcome of each vote, as indices (votes,)."""

    pairs: NDArray[np.int64]
    outcomes: NDArray[np.int64]
    systems: int

    def count(self, weights: Floats) -> Floats:
        """Return weighted counts (resamples, pairs, 3) for weights (resamples, votes)."""
        pairs = len(system_pairs(self.systems))
        one_hot = np.zeros((weights.shape[1], pairs * 3))
        one_hot[np.arange(weights.shape[1]), self.pairs * 3 + self.outcomes] = 1
        return (weights @ one_hot).reshape(-1, pairs, 3)


@dataclass(frozen=True)
class _Uncertainty:
    """Covariance of strengths, its degrees of freedom, and each pair's design effect of clustering."""

    covariance: Floats
    degrees: int
    design_effect: Floats

    def half_width(self, deviation: float) -> float:
        """Return half the width of a 95 % interval for a standard error."""
        return float(stats.t.ppf(0.975, self.degrees)) * deviation


def fit_votes(votes: Sequence[Vote], seed: int = 0, resamples: int = RESAMPLES) -> PreferenceModel:
    """Fit the model. Raises ``ValueError`` without votes, and for systems not connected by votes."""
    systems = sorted({name for vote in votes for name in (vote.first, vote.second)})
    table = _tabulate(votes, systems)
    counts = table.count(np.ones((1, len(votes))))[0]
    _require_connected(counts, systems)
    values, tie = fit_davidson(counts, len(systems))
    uncertainty = _estimate_uncertainty(votes, table, np.random.default_rng(seed), resamples)
    order = np.argsort(-values)
    strengths = [_strength(index, systems, values, counts, uncertainty) for index in order]
    preferences = _preferences(systems, values, counts, uncertainty)
    return PreferenceModel(strengths, preferences, float(tie), counts, systems)


def _tabulate(votes: Sequence[Vote], systems: list[str]) -> _VoteTable:
    numbers = {
        (systems[one], systems[other]): index for index, (one, other) in enumerate(system_pairs(len(systems)))
    }
    pairs = np.array([numbers[vote.first, vote.second] for vote in votes])
    outcomes = np.array([OUTCOMES.index(vote.outcome) for vote in votes])
    return _VoteTable(pairs, outcomes, len(systems))


def _require_connected(counts: Floats, systems: list[str]) -> None:
    reached, pairs = {0}, system_pairs(len(systems))
    for _ in systems:
        for (one, other), votes in zip(pairs, counts.sum(axis=1), strict=True):
            if votes and (one in reached) != (other in reached):
                reached |= {one, other}
    if isolated := [name for index, name in enumerate(systems) if index not in reached]:
        raise ValueError(
            f"no chain of votes connects {', '.join(isolated)} with {systems[0]}; "
            "they cannot be placed on one scale"
        )


def _estimate_uncertainty(
    votes: Sequence[Vote], table: _VoteTable, rng: np.random.Generator, resamples: int
) -> _Uncertainty:
    clusterings: list[list[object]] = [
        [vote.listener for vote in votes],
        [vote.prompt_id for vote in votes],
        list(range(len(votes))),
    ]
    covariances, sizes = [], []
    for names in clusterings:
        _, cluster = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)
        size = int(cluster.max()) + 1
        weights = rng.multinomial(size, np.full(size, 1 / size), resamples).astype(np.float64)
        strengths, _ = fit_davidson(table.count(weights[:, cluster]), table.systems)
        covariances.append(np.cov(strengths.T))
        sizes.append(size)
    by_listener, by_prompt, by_vote = covariances
    # a negative estimate of the dependence must not narrow an interval
    combined = _nearest_covariance(by_listener + by_prompt - by_vote)
    covariance = max([combined, by_listener, by_prompt], key=lambda matrix: float(np.trace(matrix)))
    contrasts = np.array([_contrast(pair, table.systems) for pair in system_pairs(table.systems)])
    clustered, independent = (
        np.einsum("pc,cd,pd->p", contrasts, matrix, contrasts) for matrix in (covariance, by_vote)
    )
    design_effect = np.maximum(clustered / np.maximum(independent, 1e-12), 1.0)
    return _Uncertainty(covariance, max(1, min(sizes[:2]) - 1), design_effect)


def _contrast(pair: tuple[int, int], systems: int) -> Floats:
    one, other = pair
    return np.asarray(np.eye(systems)[one] - np.eye(systems)[other])


def _nearest_covariance(matrix: Floats) -> Floats:
    """Return the nearest positive semidefinite matrix: negative eigenvalues become 0."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)


def _strength(
    index: int, systems: list[str], values: Floats, counts: Floats, uncertainty: _Uncertainty
) -> Strength:
    value = float(values[index])
    half_width = uncertainty.half_width(float(np.sqrt(uncertainty.covariance[index, index])))
    low, high = value - half_width, value + half_width
    own_pairs = [number for number, pair in enumerate(system_pairs(len(systems))) if index in pair]
    bounded = abs(value) < LIMIT
    return Strength(
        systems[index],
        value,
        low if bounded and low > -LIMIT else None,
        high if bounded and high < LIMIT else None,
        int(counts[own_pairs].sum()),
    )


def _preferences(
    systems: list[str], values: Floats, counts: Floats, uncertainty: _Uncertainty
) -> list[Preference]:
    pairs = system_pairs(len(systems))
    contrasts = [_contrast(pair, len(systems)) for pair in pairs]
    differences = [float(contrast @ values) for contrast in contrasts]
    errors = [float(np.sqrt(contrast @ uncertainty.covariance @ contrast)) for contrast in contrasts]
    p_values = [
        float(2 * stats.t.sf(abs(difference) / error, uncertainty.degrees)) if error > 0 else 1.0
        for difference, error in zip(differences, errors, strict=True)
    ]
    preferences = []
    for number, ((one, other), p_holm) in enumerate(zip(pairs, holm(p_values), strict=True)):
        half_width = uncertainty.half_width(errors[number])
        difference = differences[number]
        share, low, high = (
            _logistic(value) for value in (difference, difference - half_width, difference + half_width)
        )
        wins, ties, losses = (int(count) for count in counts[number])
        needed = _votes_needed(share, (wins, ties, losses), float(uncertainty.design_effect[number]))
        preferences.append(
            Preference(
                systems[one],
                systems[other],
                wins,
                ties,
                losses,
                share,
                low,
                high,
                p_values[number],
                p_holm,
                needed,
            )
        )
    return preferences


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def _votes_needed(share: float, counts: tuple[int, int, int], design_effect: float) -> int | None:
    wins, ties, losses = counts
    independent = votes_needed(share)
    decided = (wins + losses) / max(wins + ties + losses, 1)
    if independent is None or decided <= 0:
        return None
    return int(np.ceil(independent * design_effect / decided))
