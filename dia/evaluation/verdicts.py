"""Comparisons of a suite as verdicts: for each pair of systems better, worse, both, or undecided.

Only primary scores count, of which each suite has a few; scores.json has all comparisons. The sentences are
in `dia/evaluation/sentences.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dia.evaluation.comparison import Comparison, CompleteCase
from dia.evaluation.metrics.result import MetricResult
from dia.evaluation.results import SuiteResult
from dia.evaluation.takes import BASELINE, MODEL, REFERENCES

SUBJECTS = (MODEL, BASELINE)  # preferred subjects of a sentence; recorded systems follow
BETTER, WORSE, BOTH, UNDECIDED = "better", "worse", "better and worse", "undecided"


@dataclass(frozen=True)
class Difference:
    """One score of ``subject`` minus that of the other system; ``sign`` is 1 where the subject is better.

    ``p_holm`` is the corrected p-value. ``smallest`` is the difference that ``prompts`` prompts show in 80 of
    100 evaluations, None where no number does.
    """

    score: str
    title: str
    unit: str
    value: float
    low: float | None
    high: float | None
    sign: int
    shown: bool
    p: float
    p_holm: float
    prompts: int
    prompts_needed: int | None
    fewest_prompts: int
    smallest: float | None
    complete_case: CompleteCase | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval, which is not corrected for several tests, excludes zero."""
        return excludes_zero(self.low, self.high)

    @property
    def due_to_missing_takes(self) -> bool:
        """Whether the takes that both systems have show no such difference."""
        complete = self.complete_case
        return self.shown and complete is not None and not excludes_zero(complete.low, complete.high)


def excludes_zero(low: float | None, high: float | None) -> bool:
    """Return whether there is an interval that excludes zero."""
    return low is not None and high is not None and not low <= 0 <= high


@dataclass(frozen=True)
class Verdict:
    """How ``subject`` compares with ``other`` on a suite.

    ``prompts`` are those that both have measured; ``tests`` is the number of differences tested on the suite,
    for which p-values are corrected.
    """

    suite: str
    subject: str
    other: str
    prompts: int
    tests: int
    differences: tuple[Difference, ...]

    @property
    def better(self) -> list[Difference]:
        """The scores in which the subject is better, beyond random variation."""
        return [item for item in self.differences if item.shown and item.sign > 0]

    @property
    def worse(self) -> list[Difference]:
        """The scores in which the subject is worse, beyond random variation."""
        return [item for item in self.differences if item.shown and item.sign < 0]

    @property
    def answer(self) -> str:
        """The answer in one or two words."""
        if self.better and self.worse:
            return BOTH
        return BETTER if self.better else WORSE if self.worse else UNDECIDED


def verdicts_of(result: SuiteResult) -> list[Verdict]:
    """Return a verdict for each pair of systems, those of the evaluated model first."""
    by_name = {name: item for system in result.systems for name, item in system.metrics.items()}
    tests = max((item.tests for item in result.comparisons), default=0)
    verdicts = []
    for subject, other in _pairs([system.name for system in result.systems]):
        own = [item for item in result.comparisons if {item.first, item.second} == {subject, other}]
        differences = tuple(_difference(item, subject, by_name[item.score]) for item in own if item.primary)
        prompts = max((item.prompts for item in differences), default=0)
        verdicts.append(Verdict(result.suite.name, subject, other, prompts, tests, differences))
    return verdicts


def main_verdict(result: SuiteResult) -> Verdict | None:
    """Return the verdict that answers the evaluation's question, None where only one system was scored."""
    return next(iter(verdicts_of(result)), None)


def rank_systems(names: Sequence[str]) -> list[str]:
    """Return names in the order of sentences and tables: the evaluated model first and references last."""
    return sorted(names, key=_rank)


def seen_from(subject: str, comparison: Comparison) -> Comparison:
    """Return a comparison whose ``first`` is ``subject``, which is one of its two systems."""
    return comparison if comparison.first == subject else _flip(comparison)


def _flip(comparison: Comparison) -> Comparison:
    return replace(
        comparison,
        first=comparison.second,
        second=comparison.first,
        difference=-comparison.difference + 0.0,  # no negative zero
        low=_negative(comparison.high),
        high=_negative(comparison.low),
        seeds=comparison.seeds[::-1],
        failures=comparison.failures[::-1],
        complete_case=_flip_complete(comparison.complete_case),
    )


def _pairs(names: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Return each pair once, the evaluated model first and references last."""
    ordered = rank_systems(names)
    pairs = [(subject, other) for place, subject in enumerate(ordered) for other in ordered[place + 1 :]]
    return [(subject, other) for subject, other in pairs if subject not in REFERENCES]


def _rank(name: str) -> int:
    if name in SUBJECTS:
        return SUBJECTS.index(name)
    return len(SUBJECTS) + (1 + REFERENCES.index(name) if name in REFERENCES else 0)


def _difference(comparison: Comparison, subject: str, result: MetricResult) -> Difference:
    own = seen_from(subject, comparison)
    return Difference(
        score=own.score,
        title=result.title,
        unit=result.unit,
        value=own.difference,
        low=own.low,
        high=own.high,
        sign=sign_of(own.difference, result),
        shown=own.shown,
        p=1.0 if own.p is None else own.p,
        p_holm=1.0 if own.p_holm is None else own.p_holm,
        prompts=own.prompts,
        prompts_needed=own.prompts_needed,
        fewest_prompts=own.fewest_prompts,
        smallest=own.smallest_difference,
        complete_case=own.complete_case,
    )


def sign_of(difference: float, result: MetricResult) -> int:
    """Return 1 where a difference is an improvement, -1 where it is the opposite, else 0."""
    gain = difference * result.better
    return (gain > 0) - (gain < 0)


def _flip_complete(made: CompleteCase | None) -> CompleteCase | None:
    if made is None or made.difference is None:
        return made
    return CompleteCase(-made.difference + 0.0, _negative(made.high), _negative(made.low), made.prompts)


def _negative(end: float | None) -> float | None:
    return None if end is None else -end + 0.0
