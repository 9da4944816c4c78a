"""Speaker similarity of turns: cosine of embeddings of Resemblyzer's GE2E or a larger encoder.

A voice is enrolled from recordings with known turn times. Turns without times, and turns too short for an
embedding, are not measured. Larger encoders: `speaker_encoders.py`.
"""

import importlib.util
import sys
import types
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import distribution, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dia.audio.files import resample
from dia.judges.librosa_import import import_librosa
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording, Times
from dia.judges.unavailable import loading_judge
from dia.types import Waveform

SAMPLE_RATE = 16_000
SHORTEST = 0.5  # seconds of speech for an embedding
Embedding = NDArray[np.float32]


@dataclass(frozen=True)
class TurnSimilarity:
    """Cosine similarity of a turn to its own voice and to the most similar other voice."""

    right: float
    wrong: float


class SpeakerEncoder(ABC):
    """A model that embeds speech as a unit vector; the similarity of voices is the cosine."""

    @property
    @abstractmethod
    def provenance(self) -> Provenance:
        """Name and version. Raises :class:`dia.judges.unavailable.JudgeUnavailable` if it is missing."""

    @abstractmethod
    def embed_waveform(self, waveform: Waveform) -> Embedding:
        """Return the unit embedding (width,) of a waveform (samples,) at 16 kHz with enough speech."""

    def embed(self, recording: Recording, times: Times) -> Embedding | None:
        """Return the unit embedding of a segment (seconds), None if it is silent or shorter than .5 s."""
        start, end = (int(time * recording.sample_rate) for time in times)
        waveform = resample(recording.waveform[start:end], recording.sample_rate, SAMPLE_RATE)
        if len(waveform) < SHORTEST * SAMPLE_RATE or not np.any(waveform):
            return None
        return self.embed_waveform(waveform / np.abs(waveform).max() * 0.7)

    def enroll(self, recordings: Sequence[Recording]) -> dict[int, Embedding]:
        """Return the unit mean embedding of each speaker over recordings with known turn times."""
        embedded: dict[int, list[Embedding]] = {}
        for recording in recordings:
            for turn, times in zip(recording.script.turns, recording.turn_times or (), strict=False):
                embedding = self.embed(recording, times)
                if embedding is not None:
                    embedded.setdefault(turn.speaker, []).append(embedding)
        means = {speaker: np.mean(vectors, axis=0) for speaker, vectors in embedded.items()}
        return {speaker: mean / np.linalg.norm(mean) for speaker, mean in means.items()}

    def compare(
        self, recording: Recording, turns: list[Times | None], voices: dict[int, Embedding]
    ) -> list[TurnSimilarity | None]:
        """Return the similarity of each turn, None if it cannot be measured."""
        return [
            self._compare_turn(recording, times, turn.speaker, voices)
            for turn, times in zip(recording.script.turns, turns, strict=True)
        ]

    def _compare_turn(
        self, recording: Recording, times: Times | None, speaker: int, voices: dict[int, Embedding]
    ) -> TurnSimilarity | None:
        embedding = None if times is None or speaker not in voices else self.embed(recording, times)
        if embedding is None:
            return None
        others = [float(embedding @ voice) for other, voice in voices.items() if other != speaker]
        return TurnSimilarity(float(embedding @ voices[speaker]), max(others, default=float("nan")))


class ResemblyzerEncoder(SpeakerEncoder):
    """Resemblyzer's GE2E on the CPU (256-d); its wheel contains the weights."""

    @cached_property
    def _encoder(self) -> Any:
        return _import_resemblyzer().VoiceEncoder("cpu", verbose=False)

    @property
    def provenance(self) -> Provenance:
        """Name and version of the model."""
        with loading_judge("Resemblyzer"):
            _import_resemblyzer()
        return Provenance("Resemblyzer GE2E", version("Resemblyzer"), SAMPLE_RATE, "Apache-2.0", True)

    def embed_waveform(self, waveform: Waveform) -> Embedding:
        """Return the unit embedding (256,) of a waveform at 16 kHz."""
        embedding: Embedding = self._encoder.embed_utterance(waveform)
        return embedding

    def windows(self, waveform: Waveform) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the middles (windows,) in seconds and embeddings of windows of 1.6 s every .4 s.

        The waveform has 16 kHz. One shorter than a window is padded with silence. Blocks of a minute bound
        the memory.
        """
        middles, blocks = [], []
        size = 60 * SAMPLE_RATE
        for begin in range(0, max(len(waveform), 1), size):
            block = waveform[begin : begin + size]
            if begin and len(block) < SHORTEST * SAMPLE_RATE:
                break
            _, embeddings, slices = self._encoder.embed_utterance(
                block, return_partials=True, rate=2.5, min_coverage=0.5
            )
            middles += [
                (begin + (part.start + min(part.stop, len(block))) / 2) / SAMPLE_RATE for part in slices
            ]
            blocks.append(embeddings)
        return np.array(middles, dtype=np.float32), np.concatenate(blocks)


def _import_resemblyzer() -> Any:
    """Import Resemblyzer without pkg_resources, which setuptools 82 removed.

    Its dependency webrtcvad uses pkg_resources only for its own version.
    """
    missing = "pkg_resources" not in sys.modules and importlib.util.find_spec("pkg_resources") is None
    if missing:
        stand_in: Any = types.ModuleType("pkg_resources")
        stand_in.get_distribution = distribution
        sys.modules["pkg_resources"] = stand_in
    try:
        import_librosa()  # which Resemblyzer imports
        import resemblyzer
    finally:
        if missing:
            del sys.modules["pkg_resources"]
    return resemblyzer
