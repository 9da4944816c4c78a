"""Word error rate of fresh speech: what training watches while it validates."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dia.dialogue import Script
from dia.judges.recording import Recording
from dia.judges.transcription import Whisper, transcript
from dia.judges.words import word_errors


class Spoken(Protocol):
    """What is needed of a spoken text: its wave, float32 (samples,), and its sample rate in hertz."""

    @property
    def wave(self) -> NDArray[np.float32]:
        """The samples."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hertz."""
        ...


class SpokenWordErrorRate:
    """Callable that transcribes and compares; the recogniser is loaded at the first call."""

    def __init__(self) -> None:
        self.whisper = Whisper()

    def __call__(self, scripts: list[str], spoken: Sequence[Spoken]) -> float:
        """Return errors per reference word over all scripts."""
        counted = [self._errors(Script.parse(text), speech) for text, speech in zip(scripts, spoken, strict=True)]
        return sum(errors for errors, _ in counted) / max(1, sum(words for _, words in counted))

    def _errors(self, script: Script, speech: Spoken) -> tuple[int, int]:
        recording = Recording("", "", script, speech.wave, speech.sample_rate)
        errors = word_errors(script, transcript(self.whisper.words(recording)))
        return errors.errors, errors.words
