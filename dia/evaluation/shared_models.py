"""The judges that several metrics share: each is loaded once, and what it heard of a clip is kept for the
next metric.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from dia.audio.files import resample
from dia.evaluation.turn_alignment import ScriptWord, match_words, script_words, turns_of
from dia.judges.ctc import CtcModel
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording, Times
from dia.judges.speakers import SAMPLE_RATE, Embedding, ResemblyzerEncoder, SpeakerEncoder
from dia.judges.transcription import RecognisedWord, Recogniser, Whisper

KEPT = 64  # clips
Answer = TypeVar("Answer")


class Memory:
    """The last answers of a function about recordings, by the recordings' content."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, object] = OrderedDict()

    def answer(self, what: str, recording: Recording, ask: Callable[[], Answer]) -> Answer:
        """Return the answer to ``what`` about a recording: a kept one, else what ``ask`` says."""
        key = f"{what}-{recording.fingerprint}"
        if key not in self._kept:
            self._kept[key] = ask()
        self._kept.move_to_end(key)
        if len(self._kept) > 4 * KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]  # type: ignore[return-value]  # only ask() was ever put there


@dataclass(frozen=True)
class Alignment:
    """How the script's words are found: by a model that is told the script, or among the recogniser's
    words.
    """

    aligner: CtcModel | None
    recogniser: Recogniser

    @property
    def provenance(self) -> Provenance:
        """Which model aligns, and how. Raises :class:`dia.judges.unavailable.JudgeUnavailable`."""
        known = (self.aligner or self.recogniser).provenance
        how = "torchaudio forced_align" if self.aligner else "the script's words among the recognised ones"
        return replace(known, settings=f"alignment: {how}; {known.settings}")


class Hearing:
    """Words, their places, and voices of clips.

    ``aligner`` is a CTC model that is told the script; without one the script's words are found among the
    recognised ones. ``encoder`` is the encoder whose windows tell voices apart inside a clip.
    """

    def __init__(
        self,
        recogniser: Recogniser | None = None,
        aligner: CtcModel | None = None,
        encoder: ResemblyzerEncoder | None = None,
    ) -> None:
        self.recogniser: Recogniser = recogniser or Whisper()
        self.aligner, self.encoder = aligner, encoder or ResemblyzerEncoder()
        self._memory = Memory()
        self._enrolled: dict[str, dict[int, Embedding]] = {}

    @property
    def alignment(self) -> "Alignment":
        """What says where the script's words lie."""
        return Alignment(self.aligner, self.recogniser)

    def words(self, recording: Recording) -> list[RecognisedWord]:
        """Return the recognised words."""
        return self._memory.answer("words", recording, lambda: self.recogniser.words(recording))

    def script_words(self, recording: Recording) -> list[ScriptWord]:
        """Return the script's words, with times where they were found."""
        return self._memory.answer("script", recording, lambda: self._align(recording))

    def turns(self, recording: Recording) -> list[Times | None]:
        """Return (start, end) of each turn in seconds; those of the recording where they are known."""
        if recording.turn_times:
            return list(recording.turn_times)
        return turns_of(self.script_words(recording), len(recording.script.turns))

    def windows(self, recording: Recording) -> tuple[np.ndarray, np.ndarray]:
        """Return the middles (windows,), in seconds, and the embeddings (windows, 256) of windows of 1.6
        s.
        """
        waveform = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE)
        return self._memory.answer("windows", recording, lambda: self.encoder.windows(waveform))

    def enroll(self, encoder: SpeakerEncoder, voices: tuple[Recording, ...]) -> dict[int, Embedding]:
        """Return the unit mean embedding of each speaker over recordings whose turn times are known."""
        together = hashlib.sha256("".join(voice.fingerprint for voice in voices).encode()).hexdigest()
        key = f"{encoder.provenance.model}-{together}"
        if key not in self._enrolled:
            self._enrolled[key] = encoder.enroll(voices)
        return self._enrolled[key]

    def _align(self, recording: Recording) -> list[ScriptWord]:
        if self.aligner is None:
            return match_words(recording.script, self.words(recording))
        words = script_words(recording.script)
        found = self.aligner.align(recording, [word.text for word in words])
        return [replace(word, times=times) for word, times in zip(words, found, strict=True)]
