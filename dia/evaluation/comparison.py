"""Compare systems pairwise: the difference, its interval, a corrected p-value, and the power.

:class:`ClipValues` (per clip) -> :class:`PromptMeans` (`clip_values.py`) -> :class:`Comparison` (`paired.py`,
`permutation.py`, `power.py`).

The few primary scores of a suite are tested, and corrected for all of their pairs of systems. All other
scores are exploratory: they have intervals and no p-values, so that they cost the primary ones no power.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from dia.evaluation.clip_values import ClipValues, PromptMeans
from dia.evaluation.multiplicity import TestFamily, holm
from dia.evaluation.paired import difference, influence, interval
from dia.evaluation.permutation import permutation_p, prompt_moves, smallest_p
from dia.evaluation.power import LEVEL, fewest_prompts, prompts_needed, smallest_difference


@dataclass(frozen=True)
class CompleteCase:
    """A difference over the ``prompts`` of which both systems have takes; all None where there are none."""

    difference: float | None
    low: float | None
    high: float | None
    prompts: int


IsPrimary = Callable[[ClipValues, ClipValues], bool]


@dataclass(frozen=True)
class Comparison:
    """``first`` minus ``second`` on the prompts that both have measured, with its 95 % interval over prompts.

    ``low`` and ``high`` are None where no two prompts differ. ``p`` is that of the paired permutation test,
    ``p_holm`` the same corrected for ``tests``, the comparisons of primary scores; all three are None, None
    and 0 for an exploratory comparison. ``left_out`` counts prompts that only one of them has.
    ``prompts_needed`` detect ``difference`` in 80 of 100 experiments, ``prompts`` detect
    ``smallest_difference`` as often, and fewer than ``fewest_prompts`` detect nothing. Missing takes count as
    the worst; ``complete_case`` leaves them out, and is None where there are none.
    """

    score: str
    first: str
    second: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    prompts: int
    left_out: int
    seeds: tuple[int, int]
    failures: tuple[int, int]
    prompts_needed: int | None
    smallest_difference: float | None
    tests: int = 1
    fewest_prompts: int = fewest_prompts()
    complete_case: CompleteCase | None = None

    @property
    def primary(self) -> bool:
        """Whether the difference is tested."""
        return self.p_holm is not None

    @property
    def shown(self) -> bool:
        """Whether the corrected p-value is below 5 %."""
        return self.p_holm is not None and self.p_holm < LEVEL

    @property
    def can_decide(self) -> bool:
        """Whether there are as many prompts as a significant difference needs."""
        return self.prompts >= self.fewest_prompts


def compare(
    first: ClipValues, second: ClipValues, seed: int = 0, tests: int = 1, effective: float = 1.0
) -> Comparison:
    """Compare two systems by one score.

    ``tests`` is the number of comparisons in the family; 0 makes the comparison exploratory. ``effective`` is
    their effective number (`multiplicity.py`), for which the numbers of prompts are corrected. ``p_holm`` is
    ``p``, a family of one. Raises ``ValueError`` when the systems are scored differently or share no measured
    prompt.
    """
    if (first.score, first.kind) != (second.score, second.kind):
        raise ValueError(
            f"{first.score} ({first.kind}) cannot be compared with {second.score} ({second.kind})"
        )
    one, other, left_out = _select_shared(first, second)
    low, high = interval(first.kind, one, other, seed) or (None, None)
    apart, prompts = difference(one, other), len(one.prompts)
    p = permutation_p(one, other, seed) if tests else None
    deviation = float(influence(one, other).std(ddof=1)) if prompts > 1 else 0.0
    return Comparison(
        score=first.score,
        first=first.system,
        second=second.system,
        difference=apart,
        low=None if low is None else min(low, apart),
        high=None if high is None else max(high, apart),
        p=p,
        p_holm=p,
        prompts=prompts,
        left_out=left_out,
        seeds=(first.seeds, second.seeds),
        failures=(first.failures, second.failures),
        prompts_needed=prompts_needed(apart, deviation, tests=effective),
        smallest_difference=smallest_difference(prompts, deviation, tests=effective),
        tests=tests,
        fewest_prompts=fewest_prompts(effective),
    )


def compare_all(
    values: Sequence[ClipValues], seed: int = 0, is_primary: IsPrimary | None = None
) -> list[Comparison]:
    """Compare every pair of systems by every score for which they share a measured prompt.

    The correction (`multiplicity.py`) is over the pairs that are primary (all, unless ``is_primary``
    decides). A pair in which too few prompts differ for any significant p-value is no test, so that it
    weakens no other. Scores and systems keep the order of first appearance. Raises ``ValueError`` when two
    systems are scored differently.
    """
    pairs = [
        (first, second)
        for score in dict.fromkeys(item.score for item in values)
        for first, second in combinations([item for item in values if item.score == score], 2)
        if shared_prompts(first, second)
    ]
    primary = [is_primary is None or is_primary(*pair) for pair in pairs]
    attainable = [
        smallest_p(*_select_shared(*pair)[:2]) if is_tested else 1.0
        for pair, is_tested in zip(pairs, primary, strict=True)
    ]
    tested, tests = decidable_family(attainable)
    family = _family([pair for pair, is_tested in zip(pairs, tested, strict=True) if is_tested], seed)
    effective = family.effective() if family else float(tests)
    comparisons = [
        compare(first, second, seed, tests if is_tested else 0, effective)
        for (first, second), is_tested in zip(pairs, primary, strict=True)
    ]
    p_values = [item.p for item, is_tested in zip(comparisons, tested, strict=True) if is_tested]
    adjusted = iter(_adjusted([p for p in p_values if p is not None], family))
    return [
        replace(item, p_holm=next(adjusted) if is_tested else None if item.p is None else 1.0)
        for item, is_tested in zip(comparisons, tested, strict=True)
    ]


def _family(pairs: Sequence[tuple[ClipValues, ClipValues]], seed: int) -> TestFamily | None:
    """Return the tests of ``pairs``, which depend on each other; None where there are none."""
    if not pairs:
        return None
    moves = [prompt_moves(*_select_shared(*pair)[:2]) for pair in pairs]
    prompts = sorted(set().union(*moves))
    return TestFamily(np.array([[test.get(prompt, 0.0) for test in moves] for prompt in prompts]), seed)


def _adjusted(p_values: Sequence[float], family: TestFamily | None) -> list[float]:
    """Return the corrected p-values of a family, in the same order."""
    if family is None:
        return []
    order = np.argsort(p_values, kind="stable")
    return holm(p_values, family.counts(order.tolist()))


def decidable_family(attainable: Sequence[float]) -> tuple[list[bool], int]:
    """Return which tests can be significant in a family of those that can, and the size of that family.

    ``attainable`` are the smallest p-values that each can have, whichever system is better. Source: R. E.
    Tarone, "A modified Bonferroni method for discrete data", 1990.
    """
    size = 1
    while sum(p < LEVEL / size for p in attainable) > size:
        size += 1
    return [p < LEVEL / size for p in attainable], size


def compare_complete(first: ClipValues, second: ClipValues, seed: int = 0) -> CompleteCase:
    """Return the difference of two systems over the prompts of which both have takes."""
    if not shared_prompts(first, second):
        return CompleteCase(None, None, None, 0)
    made = compare(first, second, seed, tests=0)
    return CompleteCase(made.difference, made.low, made.high, made.prompts)


def shared_prompts(first: ClipValues, second: ClipValues) -> set[str]:
    """Return the prompts that both systems have measured."""
    return first.measured_prompts & second.measured_prompts


def _select_shared(first: ClipValues, second: ClipValues) -> tuple[PromptMeans, PromptMeans, int]:
    """Return both systems on the prompts that both have measured, and the number of the other prompts."""
    one, other = first.per_prompt(), second.per_prompt()
    shared = sorted(set(one.prompts) & set(other.prompts))
    if not shared:
        raise ValueError(
            f"{first.score}: {first.system} and {second.system} have no measured prompt in common"
        )
    return one.select(shared), other.select(shared), len(set(one.prompts) ^ set(other.prompts))
