"""From votes to strengths with intervals that know that votes of one listener, and votes on one prompt, hang
together.

Three bootstraps of the whole fit draw listeners, prompts, and single votes. With V the variance of what each
finds, ``V(listeners) + V(prompts) - V(votes)`` is the variance under both kinds of dependence, and never
taken as less than the larger of the first two. Drawing both at once would count the scatter of single votes
three times. Sources: A. C. Cameron, J. B. Gelbach, D. L. Miller, "Robust inference with multiway clustering",
2011; A. B. Owen, "The pigeonhole bootstrap", 2007.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from dia.evaluation.clip_values import Floats
from dia.evaluation.paired import holm
from dia.evaluation.power import votes_needed
from dia.listening_test.answers import Vote
from dia.listening_test.davidson import LIMIT, OUTCOMES, fit, pairs_of

RESAMPLES = 500


@dataclass(frozen=True)
class Strength:
    """A system's strength (log, mean 0 over systems) with its 95 % interval; None: unbounded on that side."""

    system: str
    value: float
    low: float | None
    high: float | None
    votes: int


@dataclass(frozen=True)
class Preference:
    """``share``: how often ``first`` is preferred where one of them is, by the model, with its 95 % interval.

    ``wins``, ``ties`` and ``losses`` are the raw votes on this pair, ``p_holm`` is corrected over all pairs;
    ``votes_needed`` would find this share in 80 of 100 tests with listeners, prompts and ties like these.
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
class Fit:
    """What the votes say of all systems, strongest first, and of every pair."""

    strengths: list[Strength]
    preferences: list[Preference]
    tie: float
    counts: Floats
    systems: list[str]


def fit_votes(votes: Sequence[Vote], seed: int = 0, resamples: int = RESAMPLES) -> Fit:
    """Fit all votes. Raises ``ValueError`` without votes, and when some systems were never compared with the
    others.
    """
    systems = sorted({name for vote in votes for name in (vote.first, vote.second)})
    cells = _cells(votes, systems)
    counts = _tally(np.ones((1, len(votes))), cells, len(systems))[0]
    _require_connected(counts, systems)
    values, tie = fit(counts, len(systems))
    random = np.random.default_rng(seed)
    spread, degrees, effect = _covariance(votes, cells, len(systems), random, resamples)
    strengths = [_strength(place, systems, values, counts, spread, degrees) for place in np.argsort(-values)]
    preferences = _preferences(systems, values, counts, spread, degrees, effect)
    return Fit(strengths, preferences, float(tie), counts, systems)


def _cells(votes: Sequence[Vote], systems: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the pair and the outcome of each vote, as numbers."""
    pairs = {
        (systems[one], systems[other]): number for number, (one, other) in enumerate(pairs_of(len(systems)))
    }
    return np.array([pairs[vote.first, vote.second] for vote in votes]), np.array(
        [OUTCOMES.index(vote.outcome) for vote in votes]
    )


def _tally(weights: Floats, cells: tuple[np.ndarray, np.ndarray], systems: int) -> Floats:
    """Return weighted counts (resamples, pairs, 3) of weights (resamples, votes)."""
    pairs = len(pairs_of(systems))
    one_hot = np.zeros((weights.shape[1], pairs * 3))
    one_hot[np.arange(weights.shape[1]), cells[0] * 3 + cells[1]] = 1
    return (weights @ one_hot).reshape(-1, pairs, 3)


def _require_connected(counts: Floats, systems: list[str]) -> None:
    reached, pairs = {0}, pairs_of(len(systems))
    for _ in systems:
        for (one, other), votes in zip(pairs, counts.sum(axis=1), strict=True):
            if votes and (one in reached) != (other in reached):
                reached |= {one, other}
    if alone := [name for place, name in enumerate(systems) if place not in reached]:
        raise ValueError(
            f"{', '.join(alone)} and {systems[0]} are linked by no chain of votes; they cannot be put on one scale"
        )


def _covariance(
    votes: Sequence[Vote], cells: tuple[np.ndarray, np.ndarray], systems: int, random: np.random.Generator, resamples: int
) -> tuple[Floats, int, Floats]:  # fmt: skip
    """Return the covariance of strengths, degrees of freedom, and per pair the design effect of clusters on
    its variance.
    """
    clusters = [
        [vote.listener for vote in votes],
        [vote.prompt_id for vote in votes],
        list(range(len(votes))),
    ]
    found, sizes = [], []
    for names in clusters:
        _, place = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)
        sizes.append(int(place.max()) + 1)
        drawn = random.multinomial(sizes[-1], np.full(sizes[-1], 1 / sizes[-1]), resamples).astype(np.float64)
        found.append(np.cov(fit(_tally(drawn[:, place], cells, systems), systems)[0].T))
    # dependence that was estimated as negative must not narrow an interval
    spread = max(
        [_positive(found[0] + found[1] - found[2]), *found[:2]], key=lambda one: float(np.trace(one))
    )
    contrasts = np.array([_contrast(one, other, systems) for one, other in pairs_of(systems)])
    clustered, alone = (np.einsum("pc,cd,pd->p", contrasts, one, contrasts) for one in (spread, found[2]))
    return spread, max(1, min(sizes[:2]) - 1), np.maximum(clustered / np.maximum(alone, 1e-12), 1.0)


def _contrast(one: int, other: int, systems: int) -> Floats:
    return np.asarray(np.eye(systems)[one] - np.eye(systems)[other])


def _positive(matrix: Floats) -> Floats:
    """Return the nearest matrix that is a covariance: negative eigenvalues become 0."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)


def _strength(
    place: int, systems: list[str], values: Floats, counts: Floats, spread: Floats, degrees: int
) -> Strength:
    reach = float(stats.t.ppf(0.975, degrees) * np.sqrt(spread[place, place]))
    value = float(values[place])
    low, high = value - reach, value + reach
    took_part = [number for number, pair in enumerate(pairs_of(len(systems))) if place in pair]
    bounded = abs(value) < LIMIT
    return Strength(
        systems[place], value, low if bounded and low > -LIMIT else None, high if bounded and high < LIMIT else None,
        int(counts[took_part].sum()),
    )  # fmt: skip


def _preferences(
    systems: list[str], values: Floats, counts: Floats, spread: Floats, degrees: int, effect: Floats
) -> list[Preference]:  # fmt: skip
    pairs, made = pairs_of(len(systems)), []
    for number, (one, other) in enumerate(pairs):
        contrast = _contrast(one, other, len(systems))
        apart, error = float(contrast @ values), float(np.sqrt(contrast @ spread @ contrast))
        p = float(2 * stats.t.sf(abs(apart) / error, degrees)) if error > 0 else 1.0
        reach = float(stats.t.ppf(0.975, degrees)) * error
        made.append((number, one, other, apart, reach, p))
    adjusted = holm([p for *_, p in made])
    return [
        _preference(
            systems[one], systems[other], counts[number], apart, reach, p, p_holm, float(effect[number])
        )
        for (number, one, other, apart, reach, p), p_holm in zip(made, adjusted, strict=True)
    ]


def _preference(
    first: str, second: str, counts: Floats, apart: float, reach: float, p: float, p_holm: float, effect: float
) -> Preference:  # fmt: skip
    wins, ties, losses = (int(count) for count in counts)
    share, low, high = (float(1 / (1 + np.exp(-value))) for value in (apart, apart - reach, apart + reach))
    alone = votes_needed(share)
    decided = (wins + losses) / max(wins + ties + losses, 1)
    needed = int(np.ceil(alone * effect / decided)) if alone is not None and decided > 0 else None
    return Preference(first, second, wins, ties, losses, share, low, high, p, p_holm, needed)
