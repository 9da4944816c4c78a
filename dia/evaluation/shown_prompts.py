"""Choose the prompts that a report plays: those with the largest paired differences, then random ones.

Half of them show the difference: for each primary score in turn, the prompt on which the two systems of the
main verdict differ most. The other half is drawn at random, so that a listener also hears usual clips,
from the prompts of which most systems have a take.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dia.evaluation.metrics.result import MetricResult
from dia.evaluation.prompts import Prompt
from dia.evaluation.results import SuiteResult
from dia.evaluation.score_format import format_value
from dia.evaluation.scoring import SystemResult
from dia.evaluation.verdicts import Verdict

RANDOM = "Drawn at random."
PLAIN_SCORES = ("false_insertion",)  # whose clips are those without the tag
PLAIN = "plain"


@dataclass(frozen=True)
class ShownPrompt:
    """A prompt that the report plays, and why."""

    prompt: Prompt
    reason: str


def choose_prompts(result: SuiteResult, verdict: Verdict | None) -> list[ShownPrompt]:
    """Return at most ``suite.shown`` prompts, largest differences of ``verdict`` first."""
    with_clips = {clip.recording.prompt_id for system in result.systems for clip in system.clips}
    prompts = [prompt for prompt in result.prompts if prompt.id in with_clips]
    shown = min(result.suite.shown, len(prompts))
    chosen: dict[str, ShownPrompt] = {}
    for item in _by_difference(result, verdict, prompts):
        if len(chosen) >= (shown + 1) // 2:
            break
        if item.prompt.cluster not in {other.prompt.cluster for other in chosen.values()}:
            chosen[item.prompt.id] = item
    rest = sorted((prompt for prompt in prompts if prompt.id not in chosen), key=lambda prompt: prompt.id)
    drawn = random.Random(0).sample(rest, len(rest))
    drawn.sort(key=lambda prompt: -_takes(prompt, result))  # keeps the order of equal ones
    return [*chosen.values(), *(ShownPrompt(prompt, RANDOM) for prompt in drawn[: shown - len(chosen)])]


def _takes(prompt: Prompt, result: SuiteResult) -> int:
    """Return how many systems have a take of a prompt."""
    return sum(
        any(clip.recording.prompt_id == prompt.id for clip in system.clips) for system in result.systems
    )


def _by_difference(
    result: SuiteResult, verdict: Verdict | None, prompts: Sequence[Prompt]
) -> Iterator[ShownPrompt]:
    """Yield the prompt of the largest difference of each primary score, then of the second largest, ..."""
    if verdict is None:
        return
    systems = {system.name: system for system in result.systems}
    first, second = systems[verdict.subject], systems[verdict.other]
    scores = [item.score for item in sorted(verdict.differences, key=lambda item: (not item.shown, item.p))]
    ranked = [list(_ranked(score, first, second, prompts)) for score in scores]
    for place in range(max(map(len, ranked), default=0)):
        for own in ranked:
            yield from own[place : place + 1]


def _ranked(
    score: str, first: SystemResult, second: SystemResult, prompts: Sequence[Prompt]
) -> Iterator[ShownPrompt]:
    """Yield the prompts on which two systems differ in a score, largest difference first."""
    results = first.metrics[score], second.metrics[score]
    one, other = (_values_by_cluster(item) for item in results)
    differing = [cluster for cluster in one if cluster in other and one[cluster] != other[cluster]]
    for cluster in sorted(differing, key=lambda name: (-abs(one[name] - other[name]), name)):
        own = [prompt for prompt in prompts if prompt.cluster == cluster]
        if score in PLAIN_SCORES:
            own.sort(key=lambda prompt: prompt.version != PLAIN)
        if own:
            unit = results[0].unit
            values = f"{first.name} {format_value(one[cluster], unit)}, " + (
                f"{second.name} {format_value(other[cluster], unit)}"
            )
            yield ShownPrompt(own[0], f"A large difference in {results[0].title}: {values}.")


def _values_by_cluster(result: MetricResult) -> dict[str, float]:
    """Return the value of each prompt, or group of prompts, over its takes."""
    sums: dict[str, tuple[float, float]] = {}
    for item in result.contributions:
        numerator, denominator = sums.get(item.cluster, (0.0, 0.0))
        sums[item.cluster] = numerator + item.numerator, denominator + item.denominator
    return {cluster: above / below for cluster, (above, below) in sums.items() if below > 0}
