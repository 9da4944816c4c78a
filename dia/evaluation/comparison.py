"""Compare systems pairwise: the difference, its interval, a p-value corrected by Holm, and the power.

:class:`ClipValues` (per clip) -> :class:`PromptMeans` (`clip_values.py`) -> :class:`Comparison` (`paired.py`,
`power.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from dia.evaluation.clip_values import ClipValues, PromptMeans
from dia.evaluation.paired import difference, holm, influence, interval, permutation_p
from dia.evaluation.power import prompts_needed, smallest_difference

LEVEL = 0.05  # corrected p-value below which a difference counts as shown


@dataclass(frozen=True)
class Comparison:
    """``first`` minus ``second`` on the prompts that both have measured, with its 95 % interval over prompts.

    ``low`` and ``high`` are None where no two prompts differ. ``p`` is that of the paired permutation test,
    ``p_holm`` the same corrected for the family of comparisons. ``left_out`` counts prompts that only one of
    them has. ``prompts_needed`` detect ``difference`` in 80 of 100 experiments, and ``prompts`` detect
    ``smallest_difference`` as often.
    """

    score: str
    first: str
    second: str
    difference: float
    low: float | None
    high: float | None
    p: float
    p_holm: float
    prompts: int
    left_out: int
    seeds: tuple[int, int]
    failures: tuple[int, int]
    prompts_needed: int | None
    smallest_difference: float | None

    @property
    def shown(self) -> bool:
        """Whether the corrected p-value is below 5 %."""
        return self.p_holm < LEVEL


def compare(first: ClipValues, second: ClipValues, seed: int = 0) -> Comparison:
    """Compare two systems by one score; ``p_holm`` is ``p``, a family of one.

    Raises ``ValueError`` when they are scored differently or share no measured prompt.
    """
    if (first.score, first.kind) != (second.score, second.kind):
        raise ValueError(
            f"{first.score} ({first.kind}) cannot be compared with {second.score} ({second.kind})"
        )
    one, other, left_out = _select_shared(first, second)
    low, high = interval(first.kind, one, other, seed) or (None, None)
    apart, p, prompts = difference(one, other), permutation_p(one, other, seed), len(one.prompts)
    deviation = float(influence(one, other).std(ddof=1)) if prompts > 1 else 0.0
    return Comparison(
        score=first.score,
        first=first.system,
        second=second.system,
        difference=apart,
        low=low,
        high=high,
        p=p,
        p_holm=p,
        prompts=prompts,
        left_out=left_out,
        seeds=(first.seeds, second.seeds),
        failures=(first.failures, second.failures),
        prompts_needed=prompts_needed(apart, deviation),
        smallest_difference=smallest_difference(prompts, deviation),
    )


def compare_all(values: Sequence[ClipValues], seed: int = 0) -> list[Comparison]:
    """Compare every pair of systems by every score they share, with Holm's correction over all comparisons.

    Scores and systems keep the order of first appearance. Raises ``ValueError`` as :func:`compare` does.
    """
    comparisons = [
        compare(first, second, seed)
        for score in dict.fromkeys(item.score for item in values)
        for first, second in combinations([item for item in values if item.score == score], 2)
    ]
    adjusted = holm([item.p for item in comparisons])
    return [replace(item, p_holm=p) for item, p in zip(comparisons, adjusted, strict=True)]


def _select_shared(first: ClipValues, second: ClipValues) -> tuple[PromptMeans, PromptMeans, int]:
    """Return both systems on the prompts that both have measured, and the number of the other prompts."""
    one, other = first.per_prompt(), second.per_prompt()
    shared = sorted(set(one.prompts) & set(other.prompts))
    if not shared:
        raise ValueError(
            f"{first.score}: {first.system} and {second.system} have no measured prompt in common"
        )
    return one.select(shared), other.select(shared), len(set(one.prompts) ^ set(other.prompts))
