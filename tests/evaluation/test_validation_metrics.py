"""What training hears of itself: real judges on real voices, and a reason for each judge that is not
there.
"""

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from dia.audio.files import flac_bytes
from dia.data.sources.voices import SAMPLE_RATE, STYLES, Heart, Joe, speak_styled
from dia.evaluation import validation_metrics as listening
from dia.evaluation.validation_metrics import Listener
from dia.judges.events import DetectorUnavailable
from dia.judges.provenance import Provenance

TEXTS = (
    "The weather is lovely today, and we are going to the park.",
    "Then we had better take something to eat.",
)


@dataclass
class Spoken:
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
    """Hears a laugh in what is loud at its end."""

    provenance = Provenance("a test's own", "1", 16_000, "Apache-2.0", True)

    def scores(self, recording):
        return {"laughs": float(np.abs(recording.waveform[-200:]).sum())}

    def windows(self, waveform):
        return np.zeros(1, np.float32), {"laughs": 2 * np.abs(waveform[-200:]).sum(keepdims=True)}


def labelled():
    loud, still = np.full(16_000, 0.5, np.float32), np.full(16_000, 0.01, np.float32)
    return [
        row(number, [(waveform, "Well.")], tags)[0]
        for number in range(5)
        for waveform, tags in ((loud, ["laughs"]), (still, []))
    ]


def test_what_the_recording_itself_scores(dialogue, monkeypatch):
    monkeypatch.setattr(listening, "EventDetector", Detector)
    asked, waveform = row(1, dialogue, ["laughs"])
    laughing = np.concatenate((waveform, np.full(400, 0.5, np.float32)))
    figures, missing = Listener([asked], labelled())([Spoken(laughing)])
    assert missing.keys() == {"false_insertion"}
    assert figures["wer"] < 0.2 and figures["similarity"] > 0.8 and figures["similarity_margin"] > 0.1
    assert (
        figures["tag_recall"] == 1
        and figures["turn_accuracy"] == 1
        and figures["mos"] > 3
        and figures["missed_eos"] == 0
    )
    assert figures["duration_ratio"] == pytest.approx(1, abs=0.01)


def test_what_other_voices_and_silence_score(dialogue, monkeypatch):
    monkeypatch.setattr(listening, "EventDetector", Detector)
    asked, waveform = row(1, dialogue, ["laughs"])
    plain, _ = row(2, dialogue)
    swapped = [
        (speak_styled(voice, text, STYLES["plain"], 0))
        for voice, text in zip((Joe(), Heart()), TEXTS, strict=True)
    ]
    listener = Listener([asked, plain], labelled())
    figures, _ = listener(
        [Spoken(np.zeros(2 * len(waveform), np.float32), ended=False), Spoken(np.concatenate(swapped))]
    )
    assert figures["similarity_margin"] < 0 and 0.5 <= figures["wer"] < 0.7
    assert figures["missed_eos"] == 0.5 and figures["tag_recall"] == figures["false_insertion"] == 0
    assert figures["duration_ratio"] == pytest.approx(1.5, abs=0.1)
    silent, missing = listener([Spoken(np.zeros(0, np.float32))] * 2)
    assert silent["wer"] == 1 and "no turn was found" in missing["similarity"]


def test_each_judge_that_is_not_there_has_a_reason(dialogue, monkeypatch, tmp_path):
    asked, waveform = row(1, dialogue)
    monkeypatch.setenv("DIA_MODELS", str(tmp_path))
    monkeypatch.setitem(sys.modules, "resemblyzer", None)
    figures, missing = Listener([asked], [])([Spoken(waveform)])
    assert figures.keys() == {"wer", "mos", "missed_eos", "duration_ratio"}
    assert "resemblyzer is not installed; install the extra `evaluation`" in missing["similarity"]
    assert "yamnet.tflite is not in" in missing["tag_recall"]
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    figures, missing = Listener([asked], [])([Spoken(waveform)])
    assert figures.keys() == {"mos", "missed_eos", "duration_ratio"}
    assert "faster_whisper is not installed" in missing["wer"]


def test_data_without_sound_is_said(dialogue, monkeypatch):
    monkeypatch.setattr(listening, "EventDetector", Detector)
    silent, waveform = row(1, dialogue, ["laughs"], keep=False)
    figures, missing = Listener([silent], [silent])([Spoken(waveform)])
    assert "keep_audio" in missing["similarity"] and "wer" in figures
    assert missing["tag_recall"] == "no tag that the detector can tell has such clips"


def test_the_detector_is_opened_once(dialogue, monkeypatch):
    opened = []

    def missing_detector():
        opened.append(True)
        raise DetectorUnavailable("not here")

    asked, waveform = row(1, dialogue)
    monkeypatch.setattr(listening, "EventDetector", missing_detector)
    assert "not here" in Listener([asked], [])([Spoken(waveform)])[1]["tag_recall"]
    monkeypatch.setattr(listening, "EventDetector", lambda: opened.append(True) or Detector())
    listener = Listener([asked], labelled())
    for _ in range(2):
        listener([Spoken(waveform)])
    assert len(opened) == 2
