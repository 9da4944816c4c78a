"""Comparisons in plain words: one sentence per pair of systems, better, worse, or no difference shown.

Only headline results count, so that a sentence stays readable; scores.json has all comparisons.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dia.evaluation.comparison import Comparison
from dia.evaluation.ground_truth import REFERENCE
from dia.evaluation.metrics.result import MetricResult
from dia.evaluation.results import SuiteResult
from dia.evaluation.takes import BASELINE, MODEL, ROUND_TRIP

SUBJECTS = (MODEL, BASELINE)  # preferred subjects of a sentence; recorded systems follow
LAST = (ROUND_TRIP, REFERENCE)


@dataclass(frozen=True)
class Difference:
    """One score of ``subject`` minus that of the other system; ``sign`` is 1 where the subject is better."""

    title: str
    value: float
    low: float | None
    high: float | None
    sign: int
    shown: bool
    p: float
    prompts_needed: int | None

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval, which is not corrected for several tests, excludes zero."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    def describe(self) -> str:
        """Return the score with the difference and its interval."""
        if self.low is None or self.high is None:
            return f"{self.title} {self.value:+.3g}"
        return f"{self.title} {self.value:+.3g}, 95 % interval {self.low:+.3g} to {self.high:+.3g}"


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
            return "better and worse"
        return "better" if self.better else "worse" if self.worse else "no difference shown"

    def sentence(self) -> str:
        """Return the answer as a sentence, with the intervals of what differs."""
        shown = [
            f"{word} in {'; '.join(item.describe() for item in items)}"
            for word, items in (("better", self.better), ("worse", self.worse))
            if items
        ]
        others = len(self.differences) - len(self.better) - len(self.worse)
        subject = f"{self.subject} compared with {self.other}"
        if not shown:
            return f"{subject}: no difference that these {self.prompts} prompts can show{self._closest()}."
        rest = f"; no difference shown in {others} other score{'s' * (others > 1)}" if others else ""
        return f"{subject}, on {self.prompts} prompts: {', and '.join(shown)}{rest}."

    def _closest(self) -> str:
        """Return the score with the smallest p-value, and the number of prompts that would show it."""
        closest = min(self.differences, key=lambda item: item.p)
        needed = closest.prompts_needed
        if closest.excludes_zero:
            remark = f"; not certain, because {self.tests} differences were tested"
        else:
            more = needed is not None and needed > self.prompts
            remark = f"; about {needed} prompts would show such a difference" if more else ""
        return f" ({closest.describe()}{remark})"


def verdicts_of(result: SuiteResult) -> list[Verdict]:
    """Return a verdict for each pair of systems, those of the evaluated model first."""
    names = [system.name for system in result.systems]
    by_name = _headlines(result)
    verdicts = []
    for subject, other in _pairs(names):
        own = [item for item in result.comparisons if {item.first, item.second} == {subject, other}]
        own = [item for item in own if item.score in by_name]
        if own:
            differences = tuple(_difference(item, subject, by_name[item.score]) for item in own)
            prompts = max(item.prompts for item in own)
            verdicts.append(
                Verdict(result.suite.name, subject, other, prompts, len(result.comparisons), differences)
            )
    return verdicts


def main_verdict(result: SuiteResult) -> Verdict | None:
    """Return the verdict that answers the evaluation's question, None where only one system was scored."""
    return next(iter(verdicts_of(result)), None)


def _headlines(result: SuiteResult) -> dict[str, MetricResult]:
    return {
        name: item
        for system in result.systems
        for name, item in system.metrics.items()
        if item.headline and item.better
    }


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return each pair once, the evaluated model first and references last."""
    ordered = sorted(names, key=_rank)
    pairs = [(subject, other) for place, subject in enumerate(ordered) for other in ordered[place + 1 :]]
    return [(subject, other) for subject, other in pairs if subject not in LAST]


def _rank(name: str) -> int:
    return (
        SUBJECTS.index(name)
        if name in SUBJECTS
        else len(SUBJECTS) + (1 + LAST.index(name) if name in LAST else 0)
    )


def _difference(comparison: Comparison, subject: str, result: MetricResult) -> Difference:
    flip = 1 if comparison.first == subject else -1
    ends: Iterable[float | None] = (comparison.low, comparison.high)[::flip]
    low, high = (None if end is None else flip * end for end in ends)
    value = flip * comparison.difference + 0.0  # no negative zero
    sign = (value * result.better > 0) - (value * result.better < 0)
    return Difference(
        result.title, value, low, high, sign, comparison.shown, comparison.p, comparison.prompts_needed
    )
