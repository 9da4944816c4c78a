"""The Bradley-Terry model with ties by Davidson, fitted by maximum likelihood for many data sets at once.

A system's strength s is a log: the first system of a pair is preferred with a probability proportional to
exp(s1), the second with exp(s2), neither with exp(t + (s1 + s2) / 2), where t is the readiness to see no
difference. Strengths have a mean of 0. Source: R. R. Davidson, "On extending the Bradley-Terry model to
accommodate ties in paired comparison experiments", 1970.

The log-likelihood is concave; Newton steps with step halving find its maximum. The strength of a system that
won or lost every comparison has no finite estimate: it stops at ``LIMIT``, odds of 60,000 to 1, and counts as
unbounded.
"""

from itertools import combinations

import numpy as np

from dia.evaluation.clip_values import Floats

LIMIT = 11.0
STEPS = 60
HALVINGS = 20
TOLERANCE = 1e-9
OUTCOMES = (1, 0, -1)  # the order of outcomes in counts: first preferred, no difference, second preferred


def system_pairs(systems: int) -> list[tuple[int, int]]:
    """Return the pairs of system indices, in the order of the counts."""
    return list(combinations(range(systems), 2))


def fit_davidson(counts: Floats, systems: int) -> tuple[Floats, Floats]:
    """Return strengths (..., systems), mean 0, and the tie parameter t (...), minus infinity without ties.

    ``counts`` is (..., pairs, 3): how often the first, neither, and the second was preferred. A system
    without any vote gets the mean strength of the systems that it was not compared with.
    """
    flat = counts.reshape(-1, *counts.shape[-2:])
    strengths, ties = np.empty((len(flat), systems)), np.empty(len(flat))
    tied = flat[:, :, 1].sum(axis=1) > 0
    for with_ties in (False, True):
        chosen = np.flatnonzero(tied == with_ties)
        if len(chosen):
            strengths[chosen], ties[chosen] = _fit_all(flat[chosen], systems, with_ties=with_ties)
    return strengths.reshape(*counts.shape[:-2], systems), ties.reshape(counts.shape[:-2])


def _design_tensor(systems: int, *, with_ties: bool) -> Floats:
    """Return (pairs, outcomes, parameters): the coefficients of each outcome's logit."""
    rows = []
    for first, second in system_pairs(systems):
        one, other = np.eye(systems + with_ties)[[first, second]]
        tie = [(one + other) / 2 + np.eye(systems + 1)[-1]] if with_ties else []
        rows.append([one, *tie, other])
    return np.array(rows)


def _fit_all(counts: Floats, systems: int, *, with_ties: bool) -> tuple[Floats, Floats]:
    design = _design_tensor(systems, with_ties=with_ties)
    votes = counts if with_ties else counts[:, :, [0, 2]]
    values = np.zeros((len(votes), design.shape[-1]))
    likelihood = _log_likelihood(design, votes, values)
    for _ in range(STEPS):
        step = np.clip(_newton_step(design, votes, values), -2, 2)
        for _ in range(HALVINGS):  # halve steps that would lower the likelihood
            candidate = _normalize(values + step, systems)
            candidate_likelihood = _log_likelihood(design, votes, candidate)
            worse = candidate_likelihood < likelihood - 1e-12
            if not worse.any():
                break
            step[worse] /= 2
        candidate[worse], candidate_likelihood[worse] = values[worse], likelihood[worse]
        change = float(np.abs(candidate - values).max())
        values, likelihood = candidate, candidate_likelihood
        if change < TOLERANCE:
            break
    return values[:, :systems], values[:, -1] if with_ties else np.full(len(values), -np.inf)


def _normalize(values: Floats, systems: int) -> Floats:
    """Return parameters with strengths of mean 0, all within the limit."""
    values = values.copy()
    values[:, :systems] -= values[:, :systems].mean(axis=1, keepdims=True)
    return np.clip(values, -LIMIT, LIMIT)


def _log_likelihood(design: Floats, votes: Floats, values: Floats) -> Floats:
    logits = np.einsum("poc,bc->bpo", design, values)
    likelihood_B: Floats = np.einsum("bpo,bpo->b", votes, logits - _log_sum_exp(logits))
    return likelihood_B


def _newton_step(design: Floats, votes: Floats, values: Floats) -> Floats:
    """Return the Newton step of each data set, (data sets, parameters)."""
    shares = _softmax(np.einsum("poc,bc->bpo", design, values))
    total = votes.sum(axis=2)
    gradient = np.einsum("bpo,poc->bc", votes - total[:, :, None] * shares, design)
    mean = np.einsum("bpo,poc->bpc", shares, design)
    second_moment = np.einsum("bp,bpo,poc,pod->bcd", total, shares, design, design, optimize=True)
    hessian = second_moment - np.einsum("bp,bpc,bpd->bcd", total, mean, mean, optimize=True)
    # the likelihood does not depend on the mean of the strengths, which makes the Hessian singular
    ridge = 1e-9 * np.maximum(total.sum(axis=1), 1)
    regularized = hessian + ridge[:, None, None] * np.eye(design.shape[-1])
    return np.linalg.solve(regularized, gradient[..., None])[..., 0]


def _softmax(logits: Floats) -> Floats:
    return np.exp(logits - _log_sum_exp(logits))


def _log_sum_exp(logits: Floats) -> Floats:
    highest = logits.max(axis=-1, keepdims=True)
    return np.asarray(highest + np.log(np.exp(logits - highest).sum(axis=-1, keepdims=True)))
