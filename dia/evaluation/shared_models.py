"""Models that several metrics share: each is loaded once, and its output for a clip is cached in memory."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from dia.audio.files import resample
from dia.dialogue import Script
from dia.evaluation.turn_alignment import ScriptWord, match_words, script_words, times_of_turns
from dia.judges.ctc import CtcModel
from dia.judges.normalisation import normalisation_version
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording, Times
from dia.judges.repetition import is_looping
from dia.judges.speakers import SAMPLE_RATE, Embedding, ResemblyzerEncoder, SpeakerEncoder
from dia.judges.transcription import RecognisedWord, Recogniser, Whisper, transcript

CLIPS_CACHED = 64
OUTPUTS_PER_CLIP = 4
Output = TypeVar("Output")


class OutputCache:
    """The most recent outputs of models, by name and content of the recording."""

    def __init__(self) -> None:
        self._outputs: OrderedDict[str, object] = OrderedDict()

    def get(self, name: str, recording: Recording, compute: Callable[[], Output]) -> Output:
        """Return the cached output ``name`` for a recording, or compute it."""
        key = f"{name}-{recording.fingerprint}"
        if key not in self._outputs:
            self._outputs[key] = compute()
        self._outputs.move_to_end(key)
        if len(self._outputs) > OUTPUTS_PER_CLIP * CLIPS_CACHED:
            self._outputs.popitem(last=False)
        return self._outputs[key]  # type: ignore[return-value]  # only compute() is ever stored

    def __len__(self) -> int:
        return len(self._outputs)


@dataclass(frozen=True)
class CachedRecogniser:
    """A recogniser whose words for a clip are computed once."""

    recogniser: Recogniser
    cache: OutputCache
    name: str

    @property
    def provenance(self) -> Provenance:
        """That of the recogniser."""
        return self.recogniser.provenance

    def words(self, recording: Recording) -> list[RecognisedWord]:
        """Return the recognised words."""
        return self.cache.get(self.name, recording, lambda: self.recogniser.words(recording))


@dataclass(frozen=True)
class Alignment:
    """How the words of a script are located: by forced alignment, or among the recognised words."""

    aligner: CtcModel | None
    recogniser: Recogniser

    @property
    def provenance(self) -> Provenance:
        """The model that aligns, and how. Raises :class:`dia.judges.unavailable.JudgeUnavailable`."""
        known = (self.aligner or self.recogniser).provenance
        # part of the keys of cached scores: another wording would discard them
        how = f"the script's words among the recognised ones, {normalisation_version()}"
        how = "torchaudio forced_align" if self.aligner else how
        return replace(known, settings=f"alignment: {how}; {known.settings}")


class SharedModels:
    """Recognised words, times of the script's words, and speaker embeddings of clips.

    ``aligner`` is a CTC model for forced alignment; without one the words of the script are matched with the
    recognised ones. ``encoder`` is the speaker encoder whose windows separate voices within a clip.
    ``second`` is a recogniser of another family.
    """

    def __init__(
        self,
        recogniser: Recogniser | None = None,
        aligner: CtcModel | None = None,
        encoder: ResemblyzerEncoder | None = None,
        second: Recogniser | None = None,
    ) -> None:
        self.recogniser: Recogniser = recogniser or Whisper()
        self.aligner, self.encoder = aligner, encoder or ResemblyzerEncoder()
        self._cache = OutputCache()
        self.second = CachedRecogniser(second, self._cache, "second") if second else None
        self._enrolled: dict[str, dict[int, Embedding]] = {}

    @property
    def alignment(self) -> Alignment:
        """How the words of the script are located."""
        return Alignment(self.aligner, self.recogniser)

    def words(self, recording: Recording) -> list[RecognisedWord]:
        """Return the recognised words."""
        return self._cache.get("words", recording, lambda: self.recogniser.words(recording))

    def usable_words(self, recording: Recording) -> list[RecognisedWord]:
        """Return the recognised words, none where the recogniser repeats itself instead of transcribing."""
        words = self.words(recording)
        return [] if is_looping(transcript(words), recording.script.words()) else words

    def script_words(self, recording: Recording) -> list[ScriptWord]:
        """Return the words of the script, with times where they were located."""
        return self._cache.get("script", recording, lambda: self._align(recording))

    def turns(self, recording: Recording) -> list[Times | None]:
        """Return (start, end) of each turn in seconds; those of the recording where they are known."""
        if recording.turn_times:
            return list(recording.turn_times)
        return times_of_turns(self.script_words(recording), len(recording.script.turns))

    def windows(self, recording: Recording) -> tuple[np.ndarray, np.ndarray]:
        """Return the middles (windows,) in seconds and the embeddings (windows, 256) of windows of 1.6 s."""
        waveform = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE)
        return self._cache.get("windows", recording, lambda: self.encoder.windows(waveform))

    def enroll(self, encoder: SpeakerEncoder, voices: tuple[Recording, ...]) -> dict[int, Embedding]:
        """Return the unit mean embedding of each speaker; turns without known times are located."""
        together = hashlib.sha256("".join(voice.fingerprint for voice in voices).encode()).hexdigest()
        key = f"{encoder.provenance.model}-{together}"
        if key not in self._enrolled:
            located = [voice if voice.turn_times else self._with_turn_times(voice) for voice in voices]
            self._enrolled[key] = encoder.enroll(located)
        return self._enrolled[key]

    def _with_turn_times(self, voice: Recording) -> Recording:
        """Return a recording of those turns that can be located, with their times."""
        pairs = zip(voice.script.turns, self.turns(voice), strict=True)
        located = [(turn, times) for turn, times in pairs if times is not None]
        script = Script(tuple(turn for turn, _ in located))
        return replace(voice, script=script, turn_times=tuple(times for _, times in located))

    def _align(self, recording: Recording) -> list[ScriptWord]:
        if self.aligner is None:
            return match_words(recording.script, self.words(recording), recording.language)
        words = script_words(recording.script)
        times = self.aligner.align(recording, [word.text for word in words])
        return [replace(word, times=pair) for word, pair in zip(words, times, strict=True)]
