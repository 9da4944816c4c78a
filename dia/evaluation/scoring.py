"""From recordings to results: every metric once over every clip, then each system's rows, and every pair of
systems.

One datum: Recording -> values of each metric (kept by content) -> Clip -> Row with an interval -> Comparison.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from dia.evaluation.cache import ContentCache
from dia.evaluation.clip_values import ClipValues, Kind
from dia.evaluation.comparison import compare_all
from dia.evaluation.metrics.not_measured import Unavailable
from dia.evaluation.metrics.protocol import NOT_MEASURED, Clip, Context, Metric, Part, Row, key_of, rate
from dia.evaluation.prompts import Prompt
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable

NO_TAKE = "nothing was recorded"
SILENCE = 0.1  # seconds that stand for a recording without a sample


@dataclass(frozen=True)
class ScoredClip:
    """A recording, what it is measured against, and the values of each metric by its name."""

    recording: Recording
    context: Context
    values: Mapping[str, dict[str, Any]]


@dataclass
class System:
    """What a system made of a suite: its clips, and takes that failed, as (prompt, reason)."""

    name: str
    clips: list[ScoredClip] = field(default_factory=list)
    failures: list[tuple[Prompt, str]] = field(default_factory=list)


def resolve_metrics(metrics: Sequence[Metric]) -> list[Metric]:
    """Return the metrics; one whose model is missing stands for its reason from now on: it is not looked for
    at every clip.
    """
    origins = [(metric, metric.provenance()) for metric in metrics]
    return [
        Unavailable(metric.name, origin.removeprefix("not measured: ")) if isinstance(origin, str) else metric
        for metric, origin in origins
    ]


def measure(
    metrics: Sequence[Metric], recording: Recording, context: Context, kept: ContentCache | None = None
) -> ScoredClip:
    """Return a clip's values, from ``kept`` where the same sound was measured the same way before.

    A recording without a sample is measured as a tenth of a second of silence: its words are missing, they
    are not excused.
    """
    values = {metric.name: _values(metric, recording, context, kept) for metric in metrics}
    return ScoredClip(recording, context, values)


def _values(
    metric: Metric, recording: Recording, context: Context, kept: ContentCache | None
) -> dict[str, Any]:
    origin = metric.provenance()
    if isinstance(origin, str):
        return {NOT_MEASURED: origin.removeprefix("not measured: ")}
    if not len(recording.waveform):
        silence = np.zeros(round(SILENCE * recording.sample_rate), np.float32)
        recording = replace(recording, waveform=silence)
    try:
        read = context.of(metric.reads)
        if kept is None:
            return metric.measure(recording, read)
        return kept.values(key_of(metric, recording, context), lambda: metric.measure(recording, read))
    except JudgeUnavailable as missing:  # some are found missing only when they are first needed
        return {NOT_MEASURED: str(missing)}


def rows_of(metrics: Sequence[Metric], system: System) -> dict[str, Row]:
    """Return a system's rows by name, failures first. One that measured nothing has one row, with the
    reason.
    """
    tried = [(clip.context.prompt, 0.0) for clip in system.clips] + [
        (prompt, 1.0) for prompt, _ in system.failures
    ]
    found = [rate("takes_failed", [Part(prompt.id, failed) for prompt, failed in tried], NO_TAKE, -1)]
    for metric in metrics:
        origin = metric.provenance()
        if isinstance(origin, str):
            found.append(Row(metric.name, None, origin.removeprefix("not measured: ")))
        elif system.clips:
            clips = [_clip(clip, metric) for clip in system.clips]
            reasons = {str(clip.values[NOT_MEASURED]) for clip in clips if not clip.measured}
            nothing = len(reasons) == 1 and not any(clip.measured for clip in clips)
            found += [Row(metric.name, None, reasons.pop())] if nothing else metric.summarise(clips)
    names = [row.name for row in found]
    assert len(names) == len(set(names)), (
        f"metrics give rows of one name: {sorted(n for n in names if names.count(n) > 1)}"
    )
    return {row.name: row for row in found}


def _clip(heard: ScoredClip, metric: Metric) -> Clip:
    return Clip(heard.context.prompt, heard.recording.seed, heard.values[metric.name])


def comparisons(rows: Mapping[str, Mapping[str, Row]]) -> list[dict[str, Any]]:
    """Compare every pair of systems on each row for which more or less is better, as plain values; Holm over
    all of them.

    A pair that shares no prompt is left out: there is nothing to pair.
    """
    names = dict.fromkeys(name for found in rows.values() for name in found)
    values: list[ClipValues] = []
    for name in names:
        own = [(system, found[name]) for system, found in rows.items() if name in found]
        own = [(system, row) for system, row in own if row.better and row.parts]
        shared = set.intersection(*({part.cluster for part in row.parts} for _, row in own)) if own else set()
        if len(own) > 1 and shared:
            kind = kind_of([part for _, row in own for part in row.parts])
            values += [clip_values(system, row, kind) for system, row in own]
    return [asdict(found) for found in compare_all(values)]


def kind_of(parts: Sequence[Part]) -> Kind:
    """Return what a score is, from all systems' parts together: a ratio of sums, hits and misses, or a
    mean.
    """
    if any(part.bottom != 1.0 for part in parts):
        return Kind.RATIO
    return Kind.RATE if {part.top for part in parts} <= {0.0, 1.0} else Kind.MEAN


def clip_values(system: str, row: Row, kind: Kind) -> ClipValues:
    """Return a row's parts as values to be compared."""
    clusters, tops = [part.cluster for part in row.parts], [part.top for part in row.parts]
    if kind is Kind.RATIO:
        return ClipValues.ratios(system, row.name, tops, [part.bottom for part in row.parts], clusters)
    return (ClipValues.rates if kind is Kind.RATE else ClipValues.means)(system, row.name, tops, clusters)


def provenance(metrics: Iterable[Metric]) -> dict[str, Any]:
    """Return by metric its version and its models, or why it is not measured."""
    found: dict[str, Any] = {}
    for metric in metrics:
        origin = metric.provenance()
        models = origin if isinstance(origin, str) else [asdict(model) for model in origin]
        found[metric.name] = {"version": metric.version, "models": models}
    return found


def clip_rows(suite: str, system: System) -> list[dict[str, Any]]:
    """Return one flat row a clip for a table: the prompt, the take, and every plain value as METRIC.VALUE;
    failures too.
    """
    rows = [_flat(suite, system.name, clip) for clip in system.clips]
    return rows + [
        {
            "suite": suite,
            "system": system.name,
            "prompt_id": prompt.id,
            "script": prompt.script,
            "failure": reason,
        }
        for prompt, reason in system.failures
    ]


def _flat(suite: str, system: str, clip: ScoredClip) -> dict[str, Any]:
    prompt, recording = clip.context.prompt, clip.recording
    flat: dict[str, Any] = {
        "suite": suite, "system": system, "prompt_id": prompt.id, "script": prompt.script, "failure": "", "group": prompt.group,
        "version": prompt.version, "tag": prompt.tag, "arousal": prompt.arousal, "seed": recording.seed,
        "seconds": recording.seconds, "sample_rate": recording.sample_rate, "ended": recording.ended,
    }  # fmt: skip
    for metric, values in clip.values.items():
        flat |= {
            f"{metric}.{name}": value
            for name, value in values.items()
            if isinstance(value, (str, int, float))
        }
    return flat
