"""Results of pyannote.audio 3 and 4, from a substitute of its pipeline that returns real annotations."""

import sys

import numpy as np
import pytest

from dia.config.recordings import RecordingsConfig
from dia.data.recordings.decisions import assign_voices
from dia.data.recordings.diarization import PyannoteTurns
from dia.data.recordings.source import turn_points
from dia.data.recordings.stage_cache import SAMPLE_RATE
from dia.errors import UserError

pytest.importorskip("pyannote.core")
STAND_IN = """
import os
from dataclasses import dataclass
from pyannote.core import Annotation, Segment

__version__ = "{version}"

@dataclass
class DiarizeOutput:
    speaker_diarization: Annotation
    exclusive_speaker_diarization: Annotation
    speaker_embeddings: object = None

class Pipeline:
    @classmethod
    def from_pretrained(cls, checkpoint):
        print("a library that talks", checkpoint)
        refused = os.environ.get("REFUSED") or not checkpoint.startswith("pyannote/speaker-diarization")
        return None if refused else cls()

    def __call__(self, file):
        assert file["waveform"].shape == (1, {samples}) and file["sample_rate"] == {rate}
        assert abs(float(file["waveform"].max()) - 0.5) < 1e-3
        overlapping, exclusive = Annotation(uri="x"), Annotation(uri="x")
        overlapping[Segment(0.0, 10.0), "a"] = "SPEAKER_01"
        overlapping[Segment(9.0, 11.0), "b"] = "SPEAKER_00"
        exclusive[Segment(0.0, 10.0), "a"] = "SPEAKER_01"
        exclusive[Segment(10.0, 11.0), "b"] = "SPEAKER_00"
        return {answer}
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    def install(version):
        answer = "overlapping" if version.startswith("3") else "DiarizeOutput(overlapping, exclusive)"
        (tmp_path / "pyannote/audio").mkdir(parents=True, exist_ok=True)
        text = STAND_IN.format(version=version, answer=answer, samples=SAMPLE_RATE, rate=SAMPLE_RATE)
        (tmp_path / "pyannote/audio/__init__.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return PyannoteTurns(sys.executable)

    return install


@pytest.mark.parametrize(
    ("version", "pipeline", "second"),
    [
        ("3.4.0", "pyannote/speaker-diarization-3.1", 9.0),
        ("4.0.7", "pyannote/speaker-diarization-community-1", 10.0),
    ],
)
def test_turns_of_both_versions_are_read(version, pipeline, second, stand_in):
    stage = stand_in(version)
    assert stage.identity == {"model": pipeline, "version": version}
    waveform = np.linspace(-0.5, 0.5, SAMPLE_RATE, dtype=np.float32)
    for _ in range(2):
        measured = stage.measure(waveform)
        assert measured["voice"].tolist() == ["SPEAKER_01", "SPEAKER_00"]
        assert measured["start"].tolist() == [0.0, second] and measured["end"].tolist() == [10.0, 11.0]


def test_a_refused_pipeline_is_reported_for_every_recording(stand_in, monkeypatch):
    monkeypatch.setenv("REFUSED", "yes")
    stage, waveform = stand_in("3.4.0"), np.zeros(SAMPLE_RATE, dtype=np.float32)
    for _ in range(2):
        with pytest.raises(UserError, match="accept its terms"):
            stage.measure(waveform)


def test_a_missing_environment_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"cannot be run.*venv"):
        _ = PyannoteTurns(str(tmp_path / "absent")).identity
    (tmp_path / "empty").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    (tmp_path / "empty").chmod(0o755)
    with pytest.raises(UserError, match="No module named 'pyannote"):
        _ = PyannoteTurns(str(tmp_path / "empty")).identity
    assert "pyannote=ENV" in "\n".join(RecordingsConfig(diarization="pyannote").problems())


def test_a_word_late_in_a_long_turn_belongs_to_it():
    turns = {"start": np.array([0.0, 10.0]), "end": np.array([10.0, 11.0]), "voice": np.array(["a", "b"])}
    times, voices = turn_points(turns)
    transcript = {
        "text": np.array([" late", " next"]),
        "start": np.array([8.0, 10.2]),
        "end": np.array([8.4, 10.6]),
        "probability": np.ones(2),
    }
    words = assign_voices(transcript, np.ones(400), times, voices)
    assert [word.voice for word in words] == ["a", "b"]
    none = {"start": np.zeros(0), "end": np.zeros(0), "voice": np.zeros(0, dtype=np.str_)}
    assert assign_voices(transcript, np.ones(400), *turn_points(none))[0].voice == "v1"
