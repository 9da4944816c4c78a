"""Metrics of validation during training: score samples that the model has just generated.

Each sample has the script of a row of the data set and is compared with the row's own recording: its words,
voices, nonverbals and length. The metrics are some of those of an evaluation (dia/evaluation/metrics); a
metric whose model is missing gives a reason instead of a value.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from dia.dialogue import Script
from dia.evaluation.ground_truth import ground_truth, language_of
from dia.evaluation.metrics.nonverbals import NonverbalAdherence
from dia.evaluation.metrics.prosody import Prosody
from dia.evaluation.metrics.protocol import Context, Metric
from dia.evaluation.metrics.quality import PredictedQuality
from dia.evaluation.metrics.result import MetricResult
from dia.evaluation.metrics.speakers import SpeakerSimilarity
from dia.evaluation.metrics.turns import TurnAccuracy
from dia.evaluation.metrics.unavailable import UnavailableMetric
from dia.evaluation.metrics.words import WordErrorRate
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.evaluation.scoring import resolve_metrics, score_clip, summarise_system
from dia.evaluation.shared_models import SharedModels
from dia.judges.events import EventDetector, calibrate
from dia.judges.pocketsphinx import PocketSphinx
from dia.judges.quality import DNSMOS_ANSWERS, DistillMos, DnsMos
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable
from dia.types import Waveform

MODEL = "model"
NO_AUDIO = "the data set has no audio to compare with; prepare it with data.keep_audio=true"
# results that are logged, each with the metric that computes it: where that is missing, its reason is logged
LOGGED = {
    "wer": "wer",
    "similarity": "similarity",
    "similarity_margin": "similarity",
    "turn_accuracy": "turns",
    "mos": "mos",
    "tag_recall": "nonverbals",
    "false_insertion": "nonverbals",
}
# beside them, where a run learns from preferences: what it must not lose, and judges that no reward reads
WATCHED = {
    "pitch_spread_semitones": "prosody",
    "energy_spread_decibels": "prosody",
    "second_wer": "second_wer",
    "dnsmos_overall": "dnsmos",
}
NEED_AUDIO = {"similarity", "similarity_margin", "turn_accuracy"}


class GeneratedAudio(Protocol):
    """A generated sample."""

    @property
    def waveform(self) -> Waveform:
        """The samples, float32 (samples,)."""
        ...

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the model ended by itself."""
        ...


class ValidationMetrics:
    """Scores samples of the scripts of ``rows``, in their order.

    ``labelled`` are rows on which the nonverbal detector is calibrated. With ``watched`` prosody and held-out
    judges (a second recogniser, a second predictor of quality) are measured as well.

    A call returns values by name, and the reasons of the missing ones: those of ``LOGGED`` as in an
    evaluation; ``missed_eos``, the share of samples that did not end by themselves; ``duration_ratio``,
    generated seconds by recorded seconds.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        labelled: Iterable[Mapping[str, Any]],
        *,
        watched: bool = False,
    ) -> None:
        self.rows, self.labelled, self.watched = rows, labelled, watched
        self.references = [ground_truth(dict(row)) if _has_audio(row) else None for row in rows]

    def __call__(self, samples: Sequence[GeneratedAudio]) -> tuple[dict[str, float], dict[str, str]]:
        """Return the values by name, and the reasons of those that are missing."""
        recordings = [_recording(row, sample) for row, sample in zip(self.rows, samples, strict=True)]
        clips = [
            score_clip(self.metrics, recording, _context(recording, reference))
            for recording, reference in zip(recordings, self.references, strict=True)
        ]
        logged = LOGGED | WATCHED if self.watched else LOGGED
        values, missing = _logged(summarise_system(MODEL, clips, [], self.metrics).metrics, logged)
        if not any(self.references):
            missing |= dict.fromkeys(NEED_AUDIO & missing.keys(), NO_AUDIO)
        recorded_seconds = sum(float(row["seconds"]) for row in self.rows)
        values["missed_eos"] = float(np.mean([not sample.ended for sample in samples]))
        values["duration_ratio"] = sum(recording.seconds for recording in recordings) / recorded_seconds
        return values, missing

    @cached_property
    def metrics(self) -> list[Metric]:
        """The metrics, built when they are first used."""
        models = SharedModels(second=PocketSphinx() if self.watched else None)
        metrics: list[Metric] = [
            WordErrorRate(models, models.recogniser),
            SpeakerSimilarity(models),
            TurnAccuracy(models),
            PredictedQuality(DistillMos()),
            self._adherence(models),
        ]
        if models.second is not None:
            metrics += [
                Prosody(models),
                WordErrorRate(models.second, models.second, "second_wer"),
                PredictedQuality(DnsMos(), "dnsmos", tuple(DNSMOS_ANSWERS.values())),
            ]
        return resolve_metrics(metrics)

    def _adherence(self, models: SharedModels) -> Metric:
        """Return the metric with a threshold for each tag of the labelled rows that have audio."""
        try:
            detector = EventDetector()
        except JudgeUnavailable as missing:
            return UnavailableMetric(NonverbalAdherence.name, str(missing))
        references = [ground_truth(dict(row)) for row in self.labelled if _has_audio(row)]
        calibration = calibrate(
            [detector.scores(recording) for recording in references],
            [recording.script_tags for recording in references],
        )
        return NonverbalAdherence(models, calibration, detector)


def _logged(
    results: Mapping[str, MetricResult], logged: Mapping[str, str]
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the values that were measured, and the reasons of the others."""
    values, missing = {}, {}
    for name, metric in logged.items():
        estimate = (results.get(name) or results[metric]).estimate
        if isinstance(estimate, NotMeasured):
            missing[name] = estimate.reason
        else:
            values[name] = estimate.value
    return values, missing


def _context(recording: Recording, reference: Recording | None) -> Context:
    prompt = Prompt(recording.prompt_id, recording.script.render())
    voices = (reference,) if reference is not None and reference.turn_times else ()
    return Context(prompt, voices, reference)


def _recording(row: Mapping[str, Any], sample: GeneratedAudio) -> Recording:
    script = Script.parse(str(row["script"]))
    return Recording(
        str(row["id"]),
        MODEL,
        script,
        sample.waveform,
        sample.sample_rate,
        ended=sample.ended,
        language=language_of(str(row.get("source", ""))),
    )


def _has_audio(row: Mapping[str, Any]) -> bool:
    return row["audio"]["bytes"] is not None
