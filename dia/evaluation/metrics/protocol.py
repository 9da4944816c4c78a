"""What a metric is: it measures a clip once, in plain values that can be kept, and sums clips up in rows with
intervals.

Measuring needs models and time, summing up neither: thresholds, pairs and intervals are decided when the
values are there. A metric whose model is not here gives a reason instead, and never a zero; a clip that
cannot be measured carries its own reason (``NOT_MEASURED``) and is counted.
"""

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from dia.evaluation.prompts import Prompt
from dia.evaluation.statistics import Estimate, estimate_rate, estimate_ratio
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable

NOT_MEASURED = "not_measured"  # the key of a clip's reason
Values = dict[str, Any]  # plain JSON: texts, numbers, true and false, None, lists and dictionaries of them
Origin = tuple[Provenance, ...] | str  # the models; or "not measured: " and the reason


@dataclass(frozen=True)
class Context:
    """What a clip is measured against.

    ``voices`` are recordings with known turn times that tell how the speakers should sound: the prompt's own
    voices, or recordings of the data that the model learned from. ``reference`` is the prompt's own recording
    where there is one.
    """

    prompt: Prompt
    voices: tuple[Recording, ...] = ()
    reference: Recording | None = None

    def of(self, parts: Sequence[str]) -> "Context":
        """Return the context with these parts only."""
        return Context(self.prompt, **{part: getattr(self, part) for part in parts})


@dataclass(frozen=True)
class Clip:
    """One clip of a system when it is summed up: its prompt, its seed, and what a metric measured of it."""

    prompt: Prompt
    seed: int
    values: Values

    @property
    def measured(self) -> bool:
        """Whether the metric could measure it."""
        return NOT_MEASURED not in self.values


@dataclass(frozen=True)
class Part:
    """What one clip, or pair of clips, adds to a row: top and bottom of a ratio, and the prompt (or group) it
    belongs to.

    Clips of one ``cluster`` are not independent. Two systems are compared on the clusters that both have.
    """

    cluster: str
    top: float
    bottom: float = 1.0


@dataclass(frozen=True)
class Row:
    """One figure of a system: sum of the parts' tops by that of their bottoms, with its 95 % interval, or why
    there is none.

    ``better`` is 1 where more is better, -1 where less is, 0 where neither is. ``detail`` is plain JSON
    beside the figure.
    """

    name: str
    estimate: Estimate | None
    reason: str = ""
    better: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the row as plain JSON, without its parts."""
        figure = asdict(self.estimate) if self.estimate else {"result": f"not measured: {self.reason}"}
        return {"name": self.name, "better": self.better, **figure, **self.detail}


class Metric(Protocol):
    """``name`` is unique among the metrics of a run; ``version`` changes whenever values of the same clip
    would.
    """

    name: str
    version: str

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of the context that values depend on, `voices` or `reference`: a metric is given no
        others.
        """
        ...

    def provenance(self) -> Origin:
        """Return the models that measure; or "not measured: " and why not. It may load them, so ask once if
        they are missing.
        """
        ...

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return what is measured of one clip."""
        ...

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return the rows of one system, always the same names for the same prompts."""
        ...


def origin_of(*judges: Any, needs: Sequence[str] = ()) -> Origin:
    """Return the provenance of judges, or the first reason why one of them, or a package of ``needs``, is
    missing.
    """
    for name in needs:
        if importlib.util.find_spec(name) is None:
            return f"not measured: {name} is not installed; install the extra `evaluation`"
    try:
        return tuple(judge.provenance for judge in judges)
    except JudgeUnavailable as missing:
        return f"not measured: {missing}"


def key_of(metric: Metric, recording: Recording, context: Context) -> str:
    """Return the sha256 of all that a clip's values depend on: sound, script, end, metric, models, and what
    it is set against.
    """
    origin, context = metric.provenance(), context.of(metric.reads)
    described = {
        "clip": recording.fingerprint,
        "metric": [metric.name, metric.version],
        "models": origin if isinstance(origin, str) else [asdict(found) for found in origin],
        "voices": [voice.fingerprint for voice in context.voices],
        "reference": context.reference.fingerprint if context.reference else None,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def ratio(name: str, parts: Sequence[Part], nothing: str, better: int = 0, **detail: Any) -> Row:
    """Return a row of sum(top) / sum(bottom); ``nothing`` says why there is none where no part has a
    bottom.
    """
    kept = tuple(parts)
    if not sum(part.bottom for part in kept):
        return Row(name, None, nothing, better, detail)
    tops, bottoms, clusters = zip(*((part.top, part.bottom, part.cluster) for part in kept), strict=True)
    return Row(name, estimate_ratio(list(tops), list(bottoms), list(clusters)), "", better, detail, kept)


def rate(name: str, parts: Sequence[Part], nothing: str, better: int = 0, **detail: Any) -> Row:
    """Return a row of a share of clips (tops are 0 or 1), whose interval stays honest at 0 and 1."""
    kept = tuple(parts)
    if not kept:
        return Row(name, None, nothing, better, detail)
    found = estimate_rate([part.top for part in kept], [part.cluster for part in kept])
    return Row(name, found, "", better, detail, kept)


def not_measured(clips: Sequence[Clip]) -> dict[str, int]:
    """Return how many clips each reason kept from being measured."""
    reasons = [str(clip.values[NOT_MEASURED]) for clip in clips if not clip.measured]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}


def parts_of(clips: Sequence[Clip], top: str, bottom: str = "") -> list[Part]:
    """Return a part for each measured clip that has the value ``top`` (and ``bottom``)."""
    kept = [clip for clip in clips if clip.measured and clip.values.get(top) is not None]
    return [
        Part(clip.prompt.id, float(clip.values[top]), float(clip.values[bottom]) if bottom else 1.0)
        for clip in kept
    ]
