"""The Bradley-Terry model with ties, as Davidson wrote it, fitted by maximum likelihood; many data sets at
once.

A system's strength s is a log: the first is preferred with a probability proportional to exp(s1), the second
exp(s2), neither exp(t + (s1 + s2) / 2), where t says how ready listeners are to see no difference. Strengths
have a mean of 0. Source: R. R. Davidson, "On extending the Bradley-Terry model to accommodate ties in paired
comparison experiments", 1970.

The log-likelihood is concave; Newton's steps with halving find its top. Where a system won or lost everything
its strength has no finite estimate: it stops at ``LIMIT``, odds of 60,000 to 1, and is called unbounded.
"""

from itertools import combinations

import numpy as np

from dia.evaluation.clip_values import Floats

LIMIT = 11.0
STEPS = 60
TOLERANCE = 1e-9
OUTCOMES = (1, 0, -1)  # the order of outcomes in counts: first preferred, no difference, second preferred


def pairs_of(systems: int) -> list[tuple[int, int]]:
    """Return the pairs of system numbers, in the order that counts have."""
    return list(combinations(range(systems), 2))


def fit(counts: Floats, systems: int) -> tuple[Floats, Floats]:
    """Return strengths (..., systems), mean 0, and the tie parameter t (...), minus infinity without ties.

    ``counts`` is (..., pairs, 3): how often the first was preferred, neither, the second. A data set without
    a vote that reaches a system leaves its strength at the mean of the others it was not compared with.
    """
    flat = counts.reshape(-1, *counts.shape[-2:])
    found, ties = np.empty((len(flat), systems)), np.empty(len(flat))
    tied = flat[:, :, 1].sum(axis=1) > 0
    for with_ties in (False, True):
        chosen = np.flatnonzero(tied == with_ties)
        if len(chosen):
            found[chosen], ties[chosen] = _fit_all(flat[chosen], systems, with_ties)
    return found.reshape(*counts.shape[:-2], systems), ties.reshape(counts.shape[:-2])


def probabilities(strengths: Floats, tie: float) -> Floats:
    """Return (pairs, 3): the model's share of each outcome for each pair."""
    with_ties = bool(np.isfinite(tie))
    values = np.concatenate((strengths, [tie if with_ties else 0.0]))
    shares = _softmax(
        np.einsum("poc,c->po", _design(len(strengths), with_ties), values[: len(strengths) + with_ties])
    )
    return shares if with_ties else np.insert(shares, 1, 0.0, axis=1)


def _design(systems: int, with_ties: bool) -> Floats:
    """Return (pairs, outcomes, parameters): what each outcome's logit adds up from."""
    rows = []
    for first, second in pairs_of(systems):
        one, other = np.eye(systems + with_ties)[[first, second]]
        tie = [(one + other) / 2 + np.eye(systems + 1)[-1]] if with_ties else []
        rows.append([one, *tie, other])
    return np.array(rows)


def _fit_all(counts: Floats, systems: int, with_ties: bool) -> tuple[Floats, Floats]:
    design = _design(systems, with_ties)
    votes = counts if with_ties else counts[:, :, [0, 2]]
    values = np.zeros((len(votes), design.shape[-1]))
    likelihood = _likelihood(design, votes, values)
    for _ in range(STEPS):
        step = np.clip(_newton(design, votes, values), -2, 2)
        for _ in range(20):  # halve what would go down
            tried = _settled(values + step, systems)
            found = _likelihood(design, votes, tried)
            worse = found < likelihood - 1e-12
            if not worse.any():
                break
            step[worse] /= 2
        tried[worse], found[worse] = values[worse], likelihood[worse]
        moved = float(np.abs(tried - values).max())
        values, likelihood = tried, found
        if moved < TOLERANCE:
            break
    return values[:, :systems], values[:, -1] if with_ties else np.full(len(values), -np.inf)


def _settled(values: Floats, systems: int) -> Floats:
    """Centre the strengths and keep all parameters within the limit."""
    values = values.copy()
    values[:, :systems] -= values[:, :systems].mean(axis=1, keepdims=True)
    return np.clip(values, -LIMIT, LIMIT)


def _likelihood(design: Floats, votes: Floats, values: Floats) -> Floats:
    logits = np.einsum("poc,bc->bpo", design, values)
    likelihood_B: Floats = np.einsum("bpo,bpo->b", votes, logits - _log_sum(logits))
    return likelihood_B


def _newton(design: Floats, votes: Floats, values: Floats) -> Floats:
    """Return Newton's step of every data set, (data sets, parameters)."""
    shares = _softmax(np.einsum("poc,bc->bpo", design, values))
    total = votes.sum(axis=2)
    gradient = np.einsum("bpo,poc->bc", votes - total[:, :, None] * shares, design)
    middle = np.einsum("bpo,poc->bpc", shares, design)
    weighted = np.einsum("bp,bpo,poc,pod->bcd", total, shares, design, design, optimize=True)
    curvature = weighted - np.einsum("bp,bpc,bpd->bcd", total, middle, middle, optimize=True)
    ridge = 1e-9 * np.maximum(
        total.sum(axis=1), 1
    )  # all strengths together may move freely, which the mean settles
    return np.linalg.solve(curvature + ridge[:, None, None] * np.eye(design.shape[-1]), gradient[..., None])[
        ..., 0
    ]


def _softmax(logits: Floats) -> Floats:
    return np.exp(logits - _log_sum(logits))


def _log_sum(logits: Floats) -> Floats:
    top = logits.max(axis=-1, keepdims=True)
    return np.asarray(top + np.log(np.exp(logits - top).sum(axis=-1, keepdims=True)))
