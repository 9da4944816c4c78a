"""Score takes and summarise systems: take -> :class:`ScoredClip` -> :class:`SystemResult` -> comparisons.

Every metric scores every clip once (cached by content), then summarises the clips of each system, then every
pair of systems is compared on each result for which higher or lower is better.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dia.evaluation.cache import ContentCache
from dia.evaluation.clip_values import ClipValues, Kind
from dia.evaluation.comparison import Comparison, compare_all, compare_complete
from dia.evaluation.metrics.protocol import (
    NOT_MEASURED,
    ClipScore,
    Context,
    Metric,
    Models,
    Values,
    score_key,
)
from dia.evaluation.metrics.result import Contribution, MetricResult, summarise_rate
from dia.evaluation.metrics.unavailable import UnavailableMetric
from dia.evaluation.missing_takes import NO_TAKE, summarise_with_missing
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.evaluation.takes import REFERENCES
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable

SILENCE_SECONDS = 0.1  # that replace a recording without samples
Failure = tuple[Prompt, str]  # a take that failed, and the reason


@dataclass(frozen=True)
class ScoredClip:
    """A take with its scores by the name of the metric; ``context`` is what it was compared with."""

    recording: Recording
    context: Context
    scores: Mapping[str, ClipScore]


@dataclass(frozen=True)
class SystemResult:
    """One system on one suite: its clips, its failed takes, and its results by name."""

    name: str
    clips: tuple[ScoredClip, ...]
    failures: tuple[Failure, ...]
    metrics: Mapping[str, MetricResult]

    @property
    def takes(self) -> int:
        """The largest number of takes of a prompt, failures included."""
        ids = [clip.context.prompt.id for clip in self.clips] + [prompt.id for prompt, _ in self.failures]
        return max(Counter(ids).values(), default=0)


@dataclass(frozen=True)
class MetricOrigin:
    """The version of a metric and the models that scored, or why they are missing."""

    version: str
    models: Models


def resolve_metrics(metrics: Sequence[Metric]) -> list[Metric]:
    """Replace metrics whose models cannot be loaded by placeholders, so that loading is attempted once."""
    models = [(metric, metric.provenance()) for metric in metrics]
    return [
        UnavailableMetric(metric.name, known.reason) if isinstance(known, NotMeasured) else metric
        for metric, known in models
    ]


def score_clip(
    metrics: Sequence[Metric], recording: Recording, context: Context, cache: ContentCache | None = None
) -> ScoredClip:
    """Score a recording by every metric, from ``cache`` where the same audio was scored the same way before.

    A recording without samples is scored as a tenth of a second of silence, so that its words count as
    errors.
    """
    if not len(recording.waveform):
        silence = np.zeros(round(SILENCE_SECONDS * recording.sample_rate), np.float32)
        scored = replace(recording, waveform=silence)
    else:
        scored = recording
    scores = {
        metric.name: ClipScore.of(context.prompt, recording.seed, _score(metric, scored, context, cache))
        for metric in metrics
    }
    return ScoredClip(recording, context, scores)


def _score(
    metric: Metric, recording: Recording, context: Context, cache: ContentCache | None
) -> Values | NotMeasured:
    models = metric.provenance()
    if isinstance(models, NotMeasured):
        return models
    restricted = context.restricted_to(metric.reads)
    try:
        if cache is None:
            return metric.measure(recording, restricted)
        key = score_key(metric, recording, context)
        return decode_values(
            cache.get_or_compute(key, lambda: _encode(metric.measure(recording, restricted)))
        )
    except JudgeUnavailable as missing:  # some models are only loaded when they are first used
        return NotMeasured(str(missing))


def _encode(result: Values | NotMeasured) -> Values:
    """Return a metric's result as the cache stores it."""
    if isinstance(result, NotMeasured):
        return {NOT_MEASURED: result.reason, **result.counts}
    return result


def decode_values(values: Values) -> Values | NotMeasured:
    """Return a metric's result from the values that a cache stores."""
    if NOT_MEASURED not in values:
        return values
    counts = {name: value for name, value in values.items() if name != NOT_MEASURED}
    return NotMeasured(str(values[NOT_MEASURED]), counts)


def summarise_system(
    name: str, clips: Sequence[ScoredClip], failures: Sequence[Failure], metrics: Sequence[Metric]
) -> SystemResult:
    """Return the results of a system, failed takes first.

    Failed takes count as the worst of each score. A metric that scored no clip has one result, with the
    reason.
    """
    results = [_summarise_failures(clips, failures)]
    for metric in metrics:
        results += _summarise_metric(metric, clips, [prompt for prompt, _ in failures])
    names = [result.name for result in results]
    repeated = sorted({name for name in names if names.count(name) > 1})
    assert not repeated, f"several metrics have results of the same name: {', '.join(repeated)}"
    return SystemResult(name, tuple(clips), tuple(failures), {result.name: result for result in results})


def _summarise_failures(clips: Sequence[ScoredClip], failures: Sequence[Failure]) -> MetricResult:
    takes = [Contribution(clip.context.prompt.cluster, 0.0) for clip in clips]
    takes += [Contribution(prompt.cluster, 1.0) for prompt, _ in failures]
    failed = summarise_rate("takes_failed", takes, NO_TAKE, -1, label="takes that failed", headline=True)
    return replace(failed, metric="failures")


def _summarise_metric(
    metric: Metric, clips: Sequence[ScoredClip], missing: Sequence[Prompt]
) -> list[MetricResult]:
    models = metric.provenance()
    if isinstance(models, NotMeasured):
        return [MetricResult(metric.name, models, metric=metric.name)]
    voices_known = any(clip.context.voices for clip in clips)
    scores = [clip.scores[metric.name] for clip in clips]
    results = summarise_with_missing(metric, scores, missing, voices_known=voices_known)
    return [replace(result, metric=metric.name) for result in results]


def compare_systems(systems: Sequence[SystemResult], primary: Sequence[str] = ()) -> list[Comparison]:
    """Compare every pair of systems on each result for which higher or lower is better.

    Results named in ``primary`` (without names: headline results) are tested, with a correction over all
    of their pairs; other results, and two references, are exploratory. A pair without a shared prompt is left
    out.
    """
    values: list[ClipValues] = []
    for name in dict.fromkeys(name for system in systems for name in system.metrics):
        own = [(system.name, system.metrics[name]) for system in systems if name in system.metrics]
        own = [(system, result) for system, result in own if result.better and result.contributions]
        if len(own) > 1:
            kind = kind_of([item for _, result in own for item in result.contributions], own[0][1].kind)
            values += [clip_values(system, result, kind) for system, result in own]
    tested = {*primary} or headline_names(systems)

    def is_primary(first: ClipValues, second: ClipValues) -> bool:
        return first.score in tested and not {first.system, second.system} <= {*REFERENCES}

    by_name = {system.name: system.metrics for system in systems}
    return [_with_complete_case(item, by_name) for item in compare_all(values, is_primary=is_primary)]


def _with_complete_case(item: Comparison, systems: Mapping[str, Mapping[str, MetricResult]]) -> Comparison:
    """Return the comparison with that of the takes that exist, where one of the systems lacks some."""
    results = [systems[name][item.score] for name in (item.first, item.second)]
    if all(result.complete is None for result in results):
        return item
    present = [result.complete or result for result in results]
    kind = kind_of([part for result in present for part in result.contributions], results[0].kind)
    first, second = (
        clip_values(name, result, kind)
        for name, result in zip((item.first, item.second), present, strict=True)
    )
    return replace(item, complete_case=compare_complete(first, second))


def headline_names(systems: Sequence[SystemResult]) -> set[str]:
    """Return the names of headline results."""
    return {name for system in systems for name, item in system.metrics.items() if item.headline}


def kind_of(contributions: Sequence[Contribution], declared: Kind = Kind.MEAN) -> Kind:
    """Return the kind of a score from its metric and from the contributions of all systems together."""
    if declared is Kind.RATIO or any(item.denominator != 1.0 for item in contributions):
        return Kind.RATIO
    is_rate = declared is Kind.RATE or {item.numerator for item in contributions} <= {0.0, 1.0}
    return Kind.RATE if is_rate else Kind.MEAN


def clip_values(system: str, result: MetricResult, kind: Kind) -> ClipValues:
    """Return a result's contributions as the input of a comparison."""
    clusters = [item.cluster for item in result.contributions]
    numerators = [item.numerator for item in result.contributions]
    if kind is Kind.RATIO:
        denominators = [item.denominator for item in result.contributions]
        return ClipValues.ratios(system, result.name, numerators, denominators, clusters)
    create: Callable[..., ClipValues] = ClipValues.rates if kind is Kind.RATE else ClipValues.means
    return create(system, result.name, numerators, clusters)


def metric_origins(metrics: Iterable[Metric]) -> dict[str, MetricOrigin]:
    """Return the version and models of each metric by its name."""
    return {metric.name: MetricOrigin(metric.version, metric.provenance()) for metric in metrics}


def clip_rows(suite: str, system: SystemResult) -> list[dict[str, Any]]:
    """Return one flat row per clip (prompt, take, every plain value as METRIC.VALUE), then failed takes."""
    failed = [
        {
            "suite": suite,
            "system": system.name,
            "prompt_id": prompt.id,
            "script": prompt.script,
            "failure": reason,
        }
        for prompt, reason in system.failures
    ]
    return [_clip_row(suite, system.name, clip) for clip in system.clips] + failed


def _plain(value: Any) -> str | int | float | None:
    """Return a value of a prompts' file as a cell of a table: lists and objects as JSON."""
    return value if isinstance(value, (str, int, float, type(None))) else json.dumps(value, sort_keys=True)


def _clip_row(suite: str, system: str, clip: ScoredClip) -> dict[str, Any]:
    prompt, recording = clip.context.prompt, clip.recording
    row: dict[str, Any] = {
        "suite": suite,
        "system": system,
        "prompt_id": prompt.id,
        "script": prompt.script,
        "failure": "",
        "group": prompt.group,
        "version": prompt.version,
        "tag": prompt.tag,
        "arousal": prompt.arousal,
        "seed": recording.seed,
        "seconds": recording.seconds,
        "sample_rate": recording.sample_rate,
        "ended": recording.ended,
    }
    row |= {f"column.{name}": _plain(value) for name, value in prompt.columns.items()}
    for metric, score in clip.scores.items():
        row |= {
            f"{metric}.{name}": value
            for name, value in score.to_json().items()
            if isinstance(value, (str, int, float))
        }
    return row
