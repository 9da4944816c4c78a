"""Detectors of nonverbal sounds: YAMNet as it is, or a head trained over it (`+recipe=event_detector`)."""

import hashlib
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from dia.audio.files import resample
from dia.errors import UserError
from dia.judges.event_features import FRAME_RATE, EventFeatures
from dia.judges.event_head import WEIGHTS, load_head
from dia.judges.events import SAMPLE_RATE, EventDetector
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording
from dia.types import Waveform

SMOOTHING = 9  # frames, .36 s, over which a head's probabilities are averaged
Scores = tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]


class SoundDetector(Protocol):
    """A detector of nonverbal sounds, with a score of each tag in every window of a recording."""

    hop_seconds: float
    """Seconds from one window to the next."""
    window_seconds: float
    """Length of a window."""

    @property
    def provenance(self) -> Provenance:
        """Name and version of the models."""
        ...

    @property
    def definition(self) -> Any:
        """Which tags the detector knows, and how: a part of the key of stored scores."""
        ...

    def scores(self, recording: Recording) -> dict[str, float]:
        """Return the highest score of each tag in 0..1."""
        ...

    def windows(self, waveform: Waveform) -> Scores:
        """Return the start of each window (windows,) of a waveform at 16 kHz, in seconds, and scores by
        tag.
        """
        ...


def open_detector(folder: str = "") -> SoundDetector:
    """Return YAMNet, or the trained detector in a folder.

    Raises ``JudgeUnavailable`` where a model is missing, and :class:`UserError` for a folder without a
    detector.
    """
    return HeadDetector(Path(folder)) if folder else EventDetector()


class HeadDetector:
    """A trained head over Whisper's encoder and YAMNet: probabilities 25 times a second."""

    hop_seconds = window_seconds = 1 / FRAME_RATE

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.folder, self._head, self._features = folder, load_head(folder), EventFeatures(threads)
        differing = [
            name
            for name, sha256 in self._features.sources.items()
            if self._head.config.sources.get(name) != sha256
        ]
        if differing:
            raise UserError(
                f"the detector in {folder} was trained with another model of {' and '.join(differing)} than "
                "this machine has; train it again with +recipe=event_detector"
            )

    @cached_property
    def provenance(self) -> Provenance:
        """The SHA-256 of the head, and the versions of its features' programs."""
        sha256 = hashlib.sha256((self.folder / WEIGHTS).read_bytes()).hexdigest()
        programs = ", ".join(f"{name} {version(name)}" for name in ("ai-edge-litert", "faster-whisper"))
        described = ", ".join(f"{name}={value[:12]}" for name, value in self._head.config.sources.items())
        return Provenance(
            f"head over Whisper and YAMNet (sha256 {sha256[:12]})", programs, SAMPLE_RATE, "", True, described
        )

    @property
    def definition(self) -> list[str]:
        """The tags of the head."""
        return list(self._head.config.tags)

    def scores(self, recording: Recording) -> dict[str, float]:
        """Return the highest smoothed probability of each tag."""
        _, scores = self.windows(resample(recording.waveform, recording.sample_rate, SAMPLE_RATE))
        return {tag: float(values.max()) for tag, values in scores.items()}

    @torch.no_grad()
    def windows(self, waveform: Waveform) -> Scores:
        """Return the start of each frame (frames,) in seconds, and smoothed probabilities by tag."""
        features_TF = torch.from_numpy(self._features(waveform))
        probabilities_TS = self._head(features_TF[None])[0].sigmoid().numpy()
        smooth = uniform_filter1d(probabilities_TS, SMOOTHING, axis=0, mode="nearest")
        starts = (np.arange(len(smooth)) / FRAME_RATE).astype(np.float32)
        return starts, {tag: smooth[:, place] for place, tag in enumerate(self._head.config.tags)}
