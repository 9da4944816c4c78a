"""Which system is better, by how much, and how sure that is: every pair, every score, one family of tests.

One datum: ClipValues (per clip) -> PerPrompt (`clip_values.py`) -> Comparison (`paired.py`, `power.py`) -> a
row of a table.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from rich.markup import escape
from rich.table import Table

from dia.evaluation.clip_values import ClipValues, PerPrompt
from dia.evaluation.paired import difference, holm, influence, interval, permutation_p
from dia.evaluation.power import prompts_needed, smallest_difference


@dataclass(frozen=True)
class Comparison:
    """``first`` minus ``second`` on the prompts that both have measured, with its 95 % interval over prompts.

    ``low`` and ``high`` are None where no two prompts differ. ``p`` is of the paired permutation test,
    ``p_holm`` the same corrected for the family; ``left_out`` counts prompts that only one of them has.
    ``prompts_needed`` would find ``difference`` in 80 of 100 experiments, and ``prompts`` find
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


def compare(first: ClipValues, second: ClipValues, seed: int = 0) -> Comparison:
    """Compare two systems by one score; ``p_holm`` is ``p``, a family of one.

    Raises ``ValueError`` when they are scored differently or share no prompt that was measured.
    """
    if (first.score, first.kind) != (second.score, second.kind):
        raise ValueError(
            f"{first.score} ({first.kind}) cannot be compared with {second.score} ({second.kind})"
        )
    one, other, left_out = _shared(first, second)
    low, high = interval(first.kind, one, other, seed) or (None, None)
    apart, p, prompts = difference(one, other), permutation_p(one, other, seed), len(one.prompts)
    deviation = float(influence(one, other).std(ddof=1)) if prompts > 1 else 0.0
    return Comparison(
        first.score, first.system, second.system, apart, low, high, p, p, prompts, left_out,
        (first.seeds, second.seeds), (first.failures, second.failures),
        prompts_needed(apart, deviation), smallest_difference(prompts, deviation),
    )  # fmt: skip


def _shared(first: ClipValues, second: ClipValues) -> tuple[PerPrompt, PerPrompt, int]:
    """Return both systems on the prompts that both have measured, and how many prompts only one of them
    has.
    """
    one, other = first.per_prompt(), second.per_prompt()
    shared = sorted(set(one.prompts) & set(other.prompts))
    if not shared:
        raise ValueError(
            f"{first.score}: {first.system} and {second.system} have no measured prompt in common"
        )
    return one.of(shared), other.of(shared), len(set(one.prompts) ^ set(other.prompts))


def compare_all(values: Sequence[ClipValues], seed: int = 0) -> list[Comparison]:
    """Compare every pair of systems by every score they share, corrected by Holm over all of these
    comparisons.

    Scores and systems keep the order of first appearance. Raises ``ValueError`` as :func:`compare` does.
    """
    found = [
        compare(first, second, seed)
        for score in dict.fromkeys(one.score for one in values)
        for first, second in combinations([one for one in values if one.score == score], 2)
    ]
    adjusted = holm([one.p for one in found])
    return [replace(one, p_holm=p) for one, p in zip(found, adjusted, strict=True)]


def score_rows(values: Sequence[ClipValues]) -> list[dict[str, Any]]:
    """Return one plain row a score and system: value, low, high, clips, prompts, seeds, failures; None where
    nothing was.
    """
    return [
        {"score": one.score, "system": one.system}
        | (
            asdict(one.estimate())
            if one.measured.any()
            else dict.fromkeys(("value", "low", "high")) | {"clips": 0, "prompts": 0}
        )
        | {"seeds": one.seeds, "failures": one.failures}
        for one in values
    ]


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """Return the comparisons as a table for the terminal."""
    drawn = Table(title="differences, paired by prompt; 95 % intervals; p by permutation, Holm over all rows")
    for title in (
        "score",
        "first - second",
        "difference",
        "p",
        "p (Holm)",
        "prompts",
        "seeds",
        "failures",
        "80 % power needs",
    ):
        drawn.add_column(title)
    for one in comparisons:
        drawn.add_row(*map(escape, _cells(one)))
    return drawn


def _cells(one: Comparison) -> list[str]:
    interval = "no prompt differs" if one.low is None else f"{one.low:+.3f}, {one.high:+.3f}"
    needed = "-" if one.prompts_needed is None else f"{one.prompts_needed} prompts"
    if one.smallest_difference is not None:
        needed += f"; {one.prompts} find {one.smallest_difference:.3f}"
    left_out = f" ({one.left_out} left out)" if one.left_out else ""
    return [
        one.score, f"{one.first} - {one.second}", f"{one.difference:+.3f} [{interval}]", f"{one.p:.4f}", f"{one.p_holm:.4f}",
        f"{one.prompts}{left_out}", "/".join(map(str, one.seeds)), "/".join(map(str, one.failures)), needed,
    ]  # fmt: skip
