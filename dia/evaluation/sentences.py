"""Verdicts in plain words, which the report and the terminal begin with.

Each verdict is three short sentences or little more: the answer, how sure it is, and what it rests on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dia.evaluation.results import SuiteResult
from dia.evaluation.score_format import (
    counted,
    counted_range,
    difference_unit,
    format_difference,
    format_ends,
    format_value,
    plain_list,
)
from dia.evaluation.takes import REFERENCES
from dia.evaluation.verdicts import BETTER, BOTH, UNDECIDED, WORSE, Difference, Verdict, rank_systems

ALONE = "There is no second system to compare with."
NOTHING_SHARED = "no primary score was measured of both on the same prompt"
# upper ends of a corrected p-value, and the share of evaluations that it stands for
RARELY = ((0.001, "1 of 1,000"), (0.01, "1 of 100"), (0.05, "1 of 20"))


@dataclass(frozen=True)
class Explained:
    """A verdict in words: the answer, in which scores, how sure, on what, and the numbers behind it."""

    answer: str
    scores: str
    certainty: str
    basis: str
    numbers: tuple[str, ...]

    def text(self) -> str:
        """Return the sentences as one paragraph, without the numbers."""
        return " ".join(filter(None, (self.answer, self.scores, self.certainty, self.basis)))


def explain(verdict: Verdict, result: SuiteResult) -> Explained:
    """Return a verdict on a suite in words."""
    numbers = tuple(describe(item) for item in verdict.differences)
    return Explained(
        _answer(verdict), _scores(verdict), _certainty(verdict), _basis(verdict, result), numbers
    )


def describe(item: Difference) -> str:
    """Return a score with its difference and interval, and that of the takes that exist."""
    text = f"{item.title}: {format_difference(item.value, item.unit)}"
    if ends := format_ends(item.low, item.high, item.unit, signed=True):
        text += f", 95 % interval {ends}"
    complete = item.complete_case
    if complete is not None and complete.difference is not None:
        text += (
            f"; {format_difference(complete.difference, item.unit)} on the "
            f"{counted(complete.prompts, 'prompt')} of which both have takes"
        )
    return text


def overall_sentence(verdicts: Sequence[Verdict]) -> str:
    """Return which of three or more systems is best; empty where there are fewer."""
    names = rank_systems(
        [name for item in verdicts for name in (item.subject, item.other) if name not in REFERENCES]
    )
    names = list(dict.fromkeys(names))
    if len(names) < 3:
        return ""
    beaten = {name: [other for other in names if _is_better(name, other, verdicts)] for name in names}
    for name, others in beaten.items():
        if len(others) == len(names) - 1:
            return f"{name} is better than every other system: {plain_list(others)}."
    losers = {other for others in beaten.values() for other in others}
    if not losers:
        return "No system is shown to be better than another."
    rest = [name for name in names if name not in losers]
    return f"No system is better than all others. Not shown to be worse than any: {plain_list(rest)}."


def _is_better(name: str, other: str, verdicts: Sequence[Verdict]) -> bool:
    return any(
        (item.subject, item.other, item.answer) in ((name, other, BETTER), (other, name, WORSE))
        for item in verdicts
    )


def _answer(verdict: Verdict) -> str:
    subject, other = verdict.subject, verdict.other
    if not verdict.differences:
        return f"{subject} and {other} cannot be compared: {NOTHING_SHARED}."
    if verdict.answer == BOTH:
        return f"{subject} is better than {other} in some scores and worse in others."
    if verdict.answer != UNDECIDED:
        return f"{subject} is {verdict.answer} than {other}."
    closest = _closest(verdict)
    if _needs_more(closest):
        return (
            f"It cannot be decided with {counted(closest.prompts, 'prompt')} "
            f"whether {subject} or {other} is better."
        )
    return f"No difference is shown between {subject} and {other}."


def _scores(verdict: Verdict) -> str:
    """Return the scores in which the systems differ, empty where no difference is shown."""
    parts = [
        f"{word} in {len(items)} of {len(verdict.differences)} tested scores ({_titles(items)})"
        for word, items in ((BETTER, verdict.better), (WORSE, verdict.worse))
        if items
    ]
    text = ", and ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _certainty(verdict: Verdict) -> str:
    if not verdict.differences:
        return ""
    if verdict.answer == UNDECIDED:
        return f"How sure: {_undecided(verdict)}"
    largest = max(item.p_holm for item in verdict.better + verdict.worse)
    rarely = next(words for end, words in RARELY if largest < end)
    counting = f", with all {verdict.tests} tests of the suite counted" if verdict.tests > 1 else ""
    text = f"How sure: equal systems would differ this much in fewer than {rarely} evaluations{counting}."
    others = [item for item in verdict.differences if not item.shown]
    return f"{text} No difference is shown in {_titles(others)}." if others else text


def _undecided(verdict: Verdict) -> str:
    """Return how many prompts would decide the score with the smallest p-value, and that score."""
    closest, needed = _closest(verdict), _closest(verdict).prompts_needed
    about = f"{closest.title} ({format_difference(closest.value, closest.unit)})"
    if closest.prompts < closest.fewest_prompts:
        tests = counted(verdict.tests, "test")
        least = (
            f"{tests} need{'s' * (verdict.tests == 1)} at least {counted(closest.fewest_prompts, 'prompt')}"
        )
        more = f", and {about} about {needed:,}" if (needed or 0) > closest.fewest_prompts else ""
        return f"{least}{more}."
    if needed is not None and needed > closest.prompts:
        return f"about {counted(needed, 'prompt')} would decide the clearest difference, {about}."
    text = "their scores are all but equal on these prompts."
    if closest.smallest is not None:
        smallest = format_value(closest.smallest, difference_unit(closest.unit))
        text = f"a difference of {smallest} in {closest.title} would be shown in 80 of 100 evaluations."
    if closest.excludes_zero:
        tested = f"{verdict.tests} differences were tested"
        text += f" {closest.title} differs ({format_difference(closest.value, closest.unit)}), "
        text += f"but {tested}, of which some differ at random."
    return text


def _basis(verdict: Verdict, result: SuiteResult) -> str:
    """Return the prompts, how they are counted, and what missing takes change."""
    if not verdict.differences:
        return ""
    takes = counted_range(result.takes(verdict.subject, verdict.other), "take")
    text = f"On what: {counted(verdict.prompts, 'prompt')} of the suite {result.suite.name}, {takes} each"
    clusters = {prompt.cluster for prompt in result.prompts}
    if len(clusters) < len(result.prompts):
        text += f" ({len(result.prompts)} scripts; the versions of one text count as one prompt)"
    text += "."
    missing = [item for item in verdict.differences if item.due_to_missing_takes]
    if missing:
        shown = len(verdict.better) + len(verdict.worse)
        which = (
            "none of these differences" if len(missing) == shown else f"no difference in {_titles(missing)}"
        )
        text += f" Missing takes count as the worst; where both systems have takes, {which} is shown."
    return text


def _titles(differences: Sequence[Difference]) -> str:
    return plain_list([item.title for item in differences])


def _closest(verdict: Verdict) -> Difference:
    return min(verdict.differences, key=lambda item: item.p)


def _needs_more(item: Difference) -> bool:
    too_few = item.prompts < item.fewest_prompts
    return too_few or (item.prompts_needed is not None and item.prompts_needed > item.prompts)
