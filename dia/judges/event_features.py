"""Features for the detection of nonverbal sounds: Whisper's encoder beside the class scores of YAMNet.

YAMNet knows sounds of all kinds, but a window of .975 s; the encoder resolves .02 s. Both are frozen; a small
head (`event_head.py`) reads them at 25 frames a second.

Legend: T frames, F features.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dia.judges.events import HOP, SAMPLE_RATE, WINDOW, EventDetector
from dia.judges.transcription import Whisper
from dia.judges.unavailable import loading_judge
from dia.types import Waveform

FRAME_RATE = 25  # frames a second: two of the encoder's
ENCODER_SECONDS = 30.0  # of every input of the encoder, which is padded with silence
ENCODER_FRAMES = 1_500
OVERLAP = 2.0  # seconds that two inputs of a longer recording share
SMALLEST = 1e-4  # class score at which the logarithm is cut
Features = NDArray[np.float32]


class EventFeatures:
    """Whisper's encoder, in 32 bits, and YAMNet. Raises ``JudgeUnavailable`` where one is missing."""

    def __init__(self, threads: int = 1) -> None:
        self.yamnet, self.threads = EventDetector(), threads

    @property
    def sources(self) -> dict[str, str]:
        """The SHA-256 of the two models, which a head was trained with."""
        return {
            "yamnet": str(self.yamnet.declared["model"]["sha256"]),
            "whisper": Whisper().weights_sha256,
        }

    def __call__(self, waveform: Waveform) -> Features:
        """Return the features (T, F) of a waveform (samples,) at 16 kHz."""
        frames = max(1, int(np.ceil(len(waveform) / SAMPLE_RATE * FRAME_RATE)))
        return np.concatenate([self._encoded(waveform, frames), self._classes(waveform, frames)], axis=1)

    @cached_property
    def _whisper(self) -> Any:
        with loading_judge("Whisper"):
            from faster_whisper import WhisperModel

            return WhisperModel(
                str(Whisper().path), device="cpu", compute_type="float32", cpu_threads=self.threads
            )

    def _encoded(self, waveform: Waveform, frames: int) -> Features:
        """Return the encoder's output (T, features), the mean of each two frames."""
        size, step = round(ENCODER_SECONDS * FRAME_RATE), round((ENCODER_SECONDS - OVERLAP) * FRAME_RATE)
        samples, parts = SAMPLE_RATE // FRAME_RATE, []
        for start in range(0, max(1, frames - round(OVERLAP * FRAME_RATE)), step):
            piece = waveform[start * samples : (start + size) * samples]
            # in the overlap each input gives the half that lies farther from its border
            skipped = 0 if start == 0 else (size - step) // 2
            last = start + size >= frames
            parts.append(self._encode(piece)[skipped : frames - start if last else size - (size - step) // 2])
        return np.concatenate(parts)

    def _encode(self, waveform: Waveform) -> Features:
        from faster_whisper.audio import pad_or_trim

        mel = pad_or_trim(self._whisper.feature_extractor(waveform, padding=0), 2 * ENCODER_FRAMES)
        encoded = np.array(self._whisper.encode(mel))[0]
        halved: Features = encoded.reshape(ENCODER_FRAMES // 2, 2, -1).mean(axis=1).astype(np.float32)
        return halved

    def _classes(self, waveform: Waveform, frames: int) -> Features:
        """Return the logarithms of YAMNet's scores (T, classes), interpolated between its windows."""
        starts, scores = self.yamnet.class_scores(waveform)
        middles = (starts + WINDOW / SAMPLE_RATE / 2) * FRAME_RATE - 0.5
        place = np.clip(
            (np.arange(frames) - middles[0]) / (HOP / SAMPLE_RATE * FRAME_RATE), 0, len(scores) - 1
        )
        below = np.minimum(place.astype(int), max(0, len(scores) - 2))
        share = (place - below)[:, None]
        logarithms = np.log(np.maximum(scores, SMALLEST))
        above = np.minimum(below + 1, len(scores) - 1)
        mixed: Features = ((1 - share) * logarithms[below] + share * logarithms[above]).astype(np.float32)
        return mixed
