"""What the metrics say of scripts that a model in training has just spoken: the figures of a validation.

Each script is that of a row of the data set, and is set against the row's own recording: its words, its
voices, its sounds, its length. The metrics are those of an evaluation (dia/evaluation/metrics), a few of
them; one whose judge cannot be used here gives a reason instead of a figure.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from dia.dialogue import Script
from dia.evaluation.ground_truth import ground_truth
from dia.evaluation.metrics.nonverbals import NonverbalAdherence
from dia.evaluation.metrics.not_measured import Unavailable
from dia.evaluation.metrics.protocol import Context, Metric, Row
from dia.evaluation.metrics.quality import PredictedQuality
from dia.evaluation.metrics.speakers import SpeakerSimilarity
from dia.evaluation.metrics.turns import TurnAccuracy
from dia.evaluation.metrics.words import WordErrorRate
from dia.evaluation.prompts import Prompt
from dia.evaluation.scoring import System, measure, resolve_metrics, rows_of
from dia.evaluation.shared_models import Hearing
from dia.judges.events import EventDetector, calibrate
from dia.judges.quality import DistillMos
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable
from dia.types import Waveform

MODEL = "model"
NO_SOUND = "the data set keeps no sound to compare with; prepare it with data.keep_audio=true"
FIGURES = {
    "wer": "wer", "similarity": "similarity", "similarity_margin": "similarity", "turn_accuracy": "turns", "mos": "mos",
    "tag_recall": "nonverbals", "false_insertion": "nonverbals",
}  # fmt: skip
"""Rows that are logged, and the metric that each comes from: a metric that is not there has its reason in a
row of its name.
"""


class Spoken(Protocol):
    """What is needed of a spoken text: its waveform, float32 (samples,), its sample rate in hertz, and
    whether it came to an end.
    """

    @property
    def waveform(self) -> Waveform:
        """The samples."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hertz."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the model ended by itself."""
        ...


class Listener:
    """Judges the scripts of ``rows``, in their order. ``labelled`` are rows that the detector of sounds is
    calibrated on.

    Called with what was spoken it returns figures by name, and why others are missing: those of ``FIGURES``
    as an evaluation has them; ``missed_eos``, the share that did not end by itself; ``duration_ratio``,
    seconds spoken per second of the recordings.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], labelled: Iterable[Mapping[str, Any]]) -> None:
        self.rows, self.labelled = rows, labelled
        self.voices = [ground_truth(dict(row)) if _has_sound(row) else None for row in rows]

    def __call__(self, spoken: Sequence[Spoken]) -> tuple[dict[str, float], dict[str, str]]:
        """Return the figures, and the reasons of those that are missing."""
        recordings = [_recording(row, speech) for row, speech in zip(self.rows, spoken, strict=True)]
        pairs = zip(recordings, self.voices, strict=True)
        system = System(
            MODEL, [measure(self.metrics, recording, _context(recording, own)) for recording, own in pairs]
        )
        figures, missing = _figures(rows_of(self.metrics, system))
        if not any(self.voices):
            missing |= dict.fromkeys(
                {"similarity", "similarity_margin", "turn_accuracy"} & missing.keys(), NO_SOUND
            )
        seconds = sum(found.seconds for found in recordings) / sum(float(row["seconds"]) for row in self.rows)
        return figures | {
            "missed_eos": float(np.mean([not speech.ended for speech in spoken])),
            "duration_ratio": seconds,
        }, missing

    @cached_property
    def metrics(self) -> list[Metric]:
        """The metrics, put together when they are first needed."""
        hearing = Hearing()
        metrics: list[Metric] = [
            WordErrorRate(hearing, hearing.recogniser), SpeakerSimilarity(hearing), TurnAccuracy(hearing),
            PredictedQuality(DistillMos()), self._adherence(hearing),
        ]  # fmt: skip
        return resolve_metrics(metrics)

    def _adherence(self, hearing: Hearing) -> Metric:
        """With a threshold for each tag of the labelled clips whose sound was kept."""
        try:
            detector = EventDetector()
        except JudgeUnavailable as missing:
            return Unavailable(NonverbalAdherence.name, str(missing))
        truth = [ground_truth(dict(row)) for row in self.labelled if _has_sound(row)]
        calibration = calibrate(
            [detector.scores(recording) for recording in truth],
            [recording.script_tags for recording in truth],
        )
        return NonverbalAdherence(hearing, calibration, detector)


def _figures(rows: Mapping[str, Row]) -> tuple[dict[str, float], dict[str, str]]:
    """The figures that were measured, and the reasons of the others."""
    figures, missing = {}, {}
    for name, metric in FIGURES.items():
        row = rows.get(name) or rows[metric]
        if row.estimate is None:
            missing[name] = row.reason
        else:
            figures[name] = row.estimate.value
    return figures, missing


def _context(recording: Recording, own: Recording | None) -> Context:
    prompt = Prompt(recording.prompt_id, recording.script.render())
    return Context(prompt, (own,) if own is not None and own.turn_times else (), own)


def _recording(row: Mapping[str, Any], speech: Spoken) -> Recording:
    script = Script.parse(str(row["script"]))
    return Recording(str(row["id"]), MODEL, script, speech.waveform, speech.sample_rate, ended=speech.ended)


def _has_sound(row: Mapping[str, Any]) -> bool:
    return row["audio"]["bytes"] is not None
