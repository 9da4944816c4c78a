"""The protocol of a metric: score one clip into plain JSON values, then summarise the clips of a system.

Scoring runs models and is slow, so its values are cached (``score_key``). Summarising is cheap: thresholds,
pairs and intervals are computed from the values. A metric whose model is missing returns
:class:`NotMeasured` with the reason, never zero; so does a metric for a clip that it cannot score.
"""

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

from dia.evaluation.metrics.result import Contribution, MetricResult
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable

NOT_MEASURED = "not_measured"  # the key of a clip's reason in caches and in clips.parquet
Values = dict[str, Any]  # plain JSON: strings, numbers, booleans, None, lists and dictionaries of them
Models = tuple[Provenance, ...] | NotMeasured


@dataclass(frozen=True)
class Context:
    """What a clip is compared with.

    ``voices`` are recordings with known turn times that show how the speakers should sound: voices of the
    prompt, or recordings of the training data. ``reference`` is the prompt's own recording, where there is
    one.
    """

    prompt: Prompt
    voices: tuple[Recording, ...] = ()
    reference: Recording | None = None

    def restricted_to(self, parts: Sequence[str]) -> "Context":
        """Return a context with these parts only."""
        return Context(self.prompt, **{part: getattr(self, part) for part in parts})


@dataclass(frozen=True)
class ClipScore:
    """The values of one metric for one clip of a system, or the reason why the clip was not scored."""

    prompt: Prompt
    seed: int
    values: Values
    reason: NotMeasured | None = None

    @classmethod
    def of(cls, prompt: Prompt, seed: int, result: Values | NotMeasured) -> "ClipScore":
        """Return the score that a metric's result gives."""
        if isinstance(result, NotMeasured):
            return cls(prompt, seed, dict(result.counts), result)
        return cls(prompt, seed, result)

    @property
    def measured(self) -> bool:
        """Whether the metric scored the clip."""
        return self.reason is None

    def to_json(self) -> Values:
        """Return the values as caches and clips.parquet store them."""
        return self.values if self.reason is None else {NOT_MEASURED: self.reason.reason, **self.values}


class Metric(Protocol):
    """A metric. ``name`` is unique in a run; ``version`` changes whenever values of the same clip change."""

    name: str
    version: str

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of the context that values depend on: `voices`, `reference`. Others are not passed."""
        ...

    def provenance(self) -> Models:
        """Return the models that score, or why they are missing. May load them."""
        ...

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return the values of one clip."""
        ...

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return the results of one system, with the same names for the same prompts."""
        ...


@runtime_checkable
class HasWorstValues(Protocol):
    """A metric that says what a missing take is worth; one without it is stated of the takes that exist."""

    def worst_values(self, prompt: Prompt, reason: str = "") -> Values | None:
        """Return the values of the worst take of a prompt, of those keys that results with a direction read.

        ``reason`` is empty for a missing take, or why a take was not scored. None where that is not the fault
        of the take, and where the metric does not apply to the prompt.
        """
        ...


def provenance_of(*judges: Any, needs: Sequence[str] = ()) -> Models:
    """Return the provenance of judges, or why the first missing judge or package of ``needs`` is missing."""
    for name in needs:
        if importlib.util.find_spec(name) is None:
            return NotMeasured(f"{name} is not installed; install the extra `evaluation`")
    try:
        return tuple(judge.provenance for judge in judges)
    except JudgeUnavailable as missing:
        return NotMeasured(str(missing))


def score_key(metric: Metric, recording: Recording, context: Context) -> str:
    """Return the SHA-256 of everything that a clip's values depend on: clip, metric, models and context."""
    described = {"clip": recording.fingerprint} | context_key(metric, context)
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def context_key(metric: Metric, context: Context) -> dict[str, Any]:
    """Return what the values of a clip depend on beside the clip: metric, models and context."""
    models, context = metric.provenance(), context.restricted_to(metric.reads)
    return {
        "metric": [metric.name, metric.version],
        "models": str(models) if isinstance(models, NotMeasured) else [asdict(model) for model in models],
        "voices": [voice.fingerprint for voice in context.voices],
        "reference": context.reference.fingerprint if context.reference else None,
    }


def count_reasons(clips: Sequence[ClipScore]) -> dict[str, int]:
    """Return the number of clips by the reason why they were not scored, reasons sorted."""
    reasons = [clip.reason.reason for clip in clips if clip.reason is not None]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}


def contributions_of(clips: Sequence[ClipScore], numerator: str, denominator: str = "") -> list[Contribution]:
    """Return a contribution of each scored clip whose value ``numerator`` is not None."""
    return [
        Contribution(
            clip.prompt.cluster,
            float(clip.values[numerator]),
            float(clip.values[denominator]) if denominator else 1.0,
        )
        for clip in clips
        if clip.measured and clip.values.get(numerator) is not None
    ]


def first_reason(reasons: Mapping[str, int], otherwise: str) -> str:
    """Return the first reason of :func:`count_reasons`, ``otherwise`` where there is none."""
    return next(iter(reasons), otherwise)
