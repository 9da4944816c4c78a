"""Missing takes: which ones a system lacks, and results in which each counts as the worst of its score.

A system that fails on hard prompts, or leaves them out, must not look better for it. The default value of a
result therefore includes missing takes; the complete-case value, of the takes that exist, stands beside it
(`MetricResult.complete`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from dia.evaluation.metrics.protocol import ClipScore, HasWorstValues, Metric
from dia.evaluation.metrics.result import MetricResult
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.evaluation.takes import REFERENCES, SystemTakes

LEFT_OUT = "left out: there is no take of this prompt"
NO_TAKE = "nothing was recorded"
NO_SEED = -1  # of a take that does not exist


def with_left_out(takes: SystemTakes, prompts: Sequence[Prompt]) -> SystemTakes:
    """Return the takes of a system with a failure for every take that it lacks.

    A system must have as many takes of each prompt as it has of any. References have takes of those prompts
    that come with a recording, and lack none.
    """
    if takes.name in REFERENCES:
        return takes
    present = Counter(recording.prompt_id for recording in takes.recordings)
    present.update(prompt.id for prompt, _ in takes.failures)
    most = max(present.values(), default=0)
    left_out = [(prompt, LEFT_OUT) for prompt in prompts for _ in range(most - present[prompt.id])]
    return replace(takes, failures=(*takes.failures, *left_out))


def summarise_with_missing(
    metric: Metric, scores: Sequence[ClipScore], missing: Sequence[Prompt], *, voices_known: bool
) -> list[MetricResult]:
    """Return the results of a metric, in which missing and unusable takes count as the worst.

    Without known voices a score that compares with them is not measured, however many takes are missing.
    """
    complete = _summarise_present(metric, scores)
    unscored = [(score.prompt, score.reason.reason) for score in scores if score.reason is not None]
    at_fault = _worst_scores(metric, unscored)
    present = [score for score in scores if score.measured]
    worst = at_fault + _worst_scores(metric, [(prompt, "") for prompt in missing])
    is_excused = bool(scores) and not present and not at_fault  # a judge that cannot score any take
    if not worst or is_excused:
        return complete
    results = metric.summarise([*present, *worst])
    by_name = {result.name: result for result in complete}
    needs_voices = "voices" in metric.reads and not voices_known
    merged = [_merge(result, by_name.get(result.name), needs_voices=needs_voices) for result in results]
    return [result for result in merged if result is not None]


def _summarise_present(metric: Metric, scores: Sequence[ClipScore]) -> list[MetricResult]:
    if not scores:
        return []
    reasons = {score.reason for score in scores}
    if len(reasons) == 1 and (reason := reasons.pop()) is not None:
        return [MetricResult(metric.name, reason)]
    return metric.summarise(scores)


def _worst_scores(metric: Metric, lacking: Sequence[tuple[Prompt, str]]) -> list[ClipScore]:
    """Return the scores of takes that are missing (reason "") or unusable, where they count as the worst."""
    if not isinstance(metric, HasWorstValues):
        return []
    values = [(prompt, metric.worst_values(prompt, reason)) for prompt, reason in lacking]
    return [ClipScore(prompt, NO_SEED, worst) for prompt, worst in values if worst is not None]


def _merge(full: MetricResult, complete: MetricResult | None, *, needs_voices: bool) -> MetricResult | None:
    """Return the default result, or that of the takes that exist where missing ones say nothing about it."""
    known = complete is not None and complete.measured is not None
    if full.measured is None or not full.better or (not known and needs_voices):
        return complete
    if complete is None:
        return replace(full, complete=MetricResult(full.name, NotMeasured(NO_TAKE), full.better))
    if len(complete.contributions) == len(full.contributions):
        return complete
    return replace(full, detail=complete.detail, complete=complete)
