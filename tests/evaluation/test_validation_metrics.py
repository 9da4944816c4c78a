"""Metrics of validation: real models on synthetic voices, and a reason for each model that is missing."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from dia.audio.files import flac_bytes
from dia.data.sources.voices import SAMPLE_RATE, STYLES, Heart, Joe, speak_styled
from dia.evaluation import validation_metrics
from dia.evaluation.validation_metrics import ValidationMetrics
from dia.judges.events import DetectorUnavailable
from dia.judges.provenance import Provenance

TEXTS = (
    "The weather is lovely today, and we are going to the park.",
    "Then we had better take something to eat.",
)


@dataclass
class Sample:
    waveform: np.ndarray
    sample_rate: int = SAMPLE_RATE
    ended: bool = True


def row(number, parts, tags=(), keep=True):
    """A row of turns, each of a waveform and its text; tags stand at the end of the last."""
    waveform, turns, at = np.concatenate([waveform for waveform, _ in parts]), [], 0.0
    for place, (part, text) in enumerate(parts):
        turns.append({"speaker": 1 + place, "text": text, "start": at, "end": at + len(part) / SAMPLE_RATE})
        at += len(part) / SAMPLE_RATE
    script = " ".join(f"[S{turn['speaker']}] {turn['text']}" for turn in turns) + "".join(
        f" ({tag})" for tag in tags
    )
    stored = flac_bytes(np.clip(waveform, -1, 1), SAMPLE_RATE) if keep else None
    audio = {"bytes": stored, "path": ""}
    return {
        "id": str(number),
        "script": script,
        "turns": turns,
        "seconds": len(waveform) / SAMPLE_RATE,
        "audio": audio,
    }, waveform


@pytest.fixture(scope="module")
def dialogue():
    spoken = [
        speak_styled(voice, text, STYLES["plain"], 0)
        for voice, text in zip((Heart(), Joe()), TEXTS, strict=True)
    ]
    return list(zip(spoken, TEXTS, strict=True))


class Detector:
    """A detector that takes sounds that are loud at the end for laughs."""

    provenance = Provenance("a test's own", "1", 16_000, "Apache-2.0", True)
    hop_seconds, window_seconds = 0.2, 0.975

    def scores(self, recording):
        return {"laughs": float(np.abs(recording.waveform[-200:]).sum())}

    def windows(self, waveform):
        return np.zeros(1, np.float32), {"laughs": 2 * np.abs(waveform[-200:]).sum(keepdims=True)}


def labelled():
    loud, still = np.full(16_000, 0.5, np.float32), np.full(16_000, 0.01, np.float32)
    return [
        row(number, [(waveform, "Well.")], tags)[0]
        for number in range(10)
        for waveform, tags in ((loud, ["laughs"]), (still, []))
    ]


def test_scores_of_the_recording_itself(dialogue, monkeypatch):
    monkeypatch.setattr(validation_metrics, "EventDetector", Detector)
    own_row, waveform = row(1, dialogue, ["laughs"])
    laughing = np.concatenate((waveform, np.full(400, 0.5, np.float32)))
    values, missing = ValidationMetrics([own_row], labelled())([Sample(laughing)])
    assert missing.keys() == {"false_insertion"}
    assert values["wer"] < 0.2 and values["similarity"] > 0.8 and values["similarity_margin"] > 0.1
    assert (
        values["tag_recall"] == 1
        and values["turn_accuracy"] == 1
        and values["mos"] > 3
        and values["missed_eos"] == 0
    )
    assert values["duration_ratio"] == pytest.approx(1, abs=0.01)


def test_scores_of_other_voices_and_of_silence(dialogue, monkeypatch):
    monkeypatch.setattr(validation_metrics, "EventDetector", Detector)
    own_row, waveform = row(1, dialogue, ["laughs"])
    plain, _ = row(2, dialogue)
    swapped = [
        (speak_styled(voice, text, STYLES["plain"], 0))
        for voice, text in zip((Joe(), Heart()), TEXTS, strict=True)
    ]
    metrics = ValidationMetrics([own_row, plain], labelled())
    values, _ = metrics(
        [Sample(np.zeros(2 * len(waveform), np.float32), ended=False), Sample(np.concatenate(swapped))]
    )
    assert values["similarity_margin"] < 0 and 0.5 <= values["wer"] < 0.7
    assert values["missed_eos"] == 0.5 and values["tag_recall"] == values["false_insertion"] == 0
    assert values["duration_ratio"] == pytest.approx(1.5, abs=0.1)
    silent, missing = metrics([Sample(np.zeros(0, np.float32))] * 2)
    assert not missing and silent["wer"] == silent["mos"] == 1  # silence has the worst value of each
    assert silent["similarity"] == silent["turn_accuracy"] == silent["tag_recall"] == 0


def test_each_missing_model_has_a_reason(dialogue, monkeypatch, tmp_path):
    own_row, waveform = row(1, dialogue)
    monkeypatch.setenv("DIA_MODELS", str(tmp_path))
    monkeypatch.setitem(sys.modules, "resemblyzer", None)
    values, missing = ValidationMetrics([own_row], [])([Sample(waveform)])
    assert values.keys() == {"wer", "mos", "missed_eos", "duration_ratio"}
    assert "resemblyzer is not installed; install the extra `evaluation`" in missing["similarity"]
    assert "yamnet.tflite is not in" in missing["tag_recall"]
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    values, missing = ValidationMetrics([own_row], [])([Sample(waveform)])
    assert values.keys() == {"mos", "missed_eos", "duration_ratio"}
    assert "faster_whisper is not installed" in missing["wer"]


def test_data_without_audio_is_a_reason(dialogue, monkeypatch):
    monkeypatch.setattr(validation_metrics, "EventDetector", Detector)
    silent, waveform = row(1, dialogue, ["laughs"], keep=False)
    values, missing = ValidationMetrics([silent], [silent])([Sample(waveform)])
    assert "keep_audio" in missing["similarity"] and "wer" in values
    assert missing["tag_recall"] == "no tag that the detector can measure has such clips"


def test_the_detector_is_loaded_once(dialogue, monkeypatch):
    opened = []

    def missing_detector():
        opened.append(True)
        raise DetectorUnavailable("not here")

    own_row, waveform = row(1, dialogue)
    monkeypatch.setattr(validation_metrics, "EventDetector", missing_detector)
    assert "not here" in ValidationMetrics([own_row], [])([Sample(waveform)])[1]["tag_recall"]
    monkeypatch.setattr(validation_metrics, "EventDetector", lambda: opened.append(True) or Detector())
    metrics = ValidationMetrics([own_row], labelled())
    for _ in range(2):
        metrics([Sample(waveform)])
    assert len(opened) == 2
