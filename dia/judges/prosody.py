"""Pitch and energy contours in frames of 10 ms, and features of arousal.

Only arousal generalises across speakers (pitch, energy and rate rise with it, but not with valence), so no
other dimension is derived.
"""

from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from dia.judges.librosa_import import import_librosa
from dia.judges.provenance import Provenance
from dia.judges.recording import Times
from dia.judges.unavailable import loading_judge
from dia.types import Waveform

SAMPLE_RATE = 16_000  # hertz of the waveforms
HOP = 160  # samples per frame, 10 ms
FRAMES = SAMPLE_RATE // HOP  # per second
LOWEST, HIGHEST = 65.0, 500.0  # pitch range in hertz
QUIET = 25.0  # decibels below the loudest frames, from which on frames are not voiced
SILENCE = -70.0  # dBFS below which a frame is never loud
MIN_VOICED = 10  # frames for a median pitch


@dataclass(frozen=True)
class Contour:
    """Pitch in hertz and energy in dBFS, both (frames,)."""

    pitch: NDArray[np.float32]
    energy: NDArray[np.float32]

    def part(self, start: float, end: float) -> "Contour":
        """Return the contour from ``start`` to ``end``, in seconds."""
        first, last = int(start * FRAMES), int(end * FRAMES)
        return Contour(self.pitch[first:last], self.energy[first:last])

    @property
    def loud(self) -> NDArray[np.bool_]:
        """Frames less than 25 dB below the 95th percentile."""
        return loud_frames(self.energy)

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Loud frames whose pitch is not at an end of the range, which marks frames without pitch."""
        return self.loud & (self.pitch > 1.02 * LOWEST) & (self.pitch < 0.98 * HIGHEST)


def contour(waveform: Waveform) -> Contour:
    """Return the contour of a mono waveform at 16 kHz. Pitch by YIN (de Cheveigne and Kawahara 2002)."""
    with loading_judge("pitch"):
        librosa = import_librosa()

    padded = np.pad(waveform, (0, max(0, 4 * HOP - len(waveform))))
    energy = energy_of(padded)
    pitch = librosa.yin(padded, fmin=LOWEST, fmax=HIGHEST, sr=SAMPLE_RATE, frame_length=1024, hop_length=HOP)
    count = min(len(pitch), len(energy))
    return Contour(pitch[:count].astype(np.float32), energy[:count])


def energy_of(waveform: Waveform) -> NDArray[np.float32]:
    """Return the energy of each complete frame (frames,) of a mono waveform at 16 kHz, in dBFS."""
    power = np.square(waveform[: len(waveform) // HOP * HOP], dtype=np.float64).reshape(-1, HOP).mean(axis=1)
    energy: NDArray[np.float32] = (10 * np.log10(power + 1e-10)).astype(np.float32)
    return energy


def loud_frames(energy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which frames (frames,) are less than 25 dB below the 95th percentile and above -70 dBFS."""
    if not len(energy):
        return np.zeros(0, dtype=bool)
    return energy > max(float(np.percentile(energy, 95)) - QUIET, SILENCE)


def pauses_of(waveform: Waveform, shortest: float = 0.05) -> list[Times]:
    """Return (start, end) of each pause of a mono waveform at 16 kHz, all in seconds."""
    quiet = ~loud_frames(energy_of(waveform))
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(int), [0]))))
    return [
        (float(start) / FRAMES, float(end) / FRAMES)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        if end - start >= shortest * FRAMES
    ]


def pitch_track(waveform: Waveform) -> NDArray[np.float64]:
    """Return the pitch in hertz of each frame (frames,) of a mono waveform at 16 kHz, NaN without pitch.

    The method is probabilistic YIN (Mauch and Dixon 2014), which avoids the octave errors of YIN and is ten
    times as slow.
    """
    with loading_judge("pitch"):
        librosa = import_librosa()

    padded = np.pad(waveform, (0, max(0, 8 * HOP - len(waveform))))
    pitch, _, _ = librosa.pyin(
        padded, fmin=LOWEST, fmax=HIGHEST, sr=SAMPLE_RATE, frame_length=1024, hop_length=HOP
    )
    return np.asarray(pitch, dtype=np.float64)


@dataclass(frozen=True)
class PitchTracker:
    """librosa's `yin` or `pyin`, as a judge with provenance."""

    name: str

    @property
    def provenance(self) -> Provenance:
        """Name and version. Raises :class:`dia.judges.unavailable.JudgeUnavailable` if missing."""
        with loading_judge("pitch"):
            import_librosa()
        settings = f"{LOWEST:g} to {HIGHEST:g} Hz, frames of {1000 // FRAMES} ms"
        return Provenance(
            f"librosa {self.name}", f"librosa {version('librosa')}", SAMPLE_RATE, "ISC", True, settings
        )


def arousal_features(stretch: Contour, characters: int) -> NDArray[np.float64]:
    """Return log2 pitch, energy in decibels, and characters per second (3,); NaN without voice."""
    energy = stretch.energy.astype(np.float64)
    if len(energy) < FRAMES // 4 or stretch.voiced.sum() < MIN_VOICED:
        return np.full(3, np.nan)
    rate = characters / max(len(energy) / FRAMES, 0.1)
    pitch = np.median(np.log2(stretch.pitch[stretch.voiced].astype(np.float64)))
    return np.array([pitch, energy[stretch.loud].mean(), rate])


def robust_deviation(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the deviation (rows,) of each row from the median in robust standard deviations.

    ``features`` is (rows, features); the result is the mean over features.
    """
    middle = np.median(features, axis=0)
    spread = 1.4826 * np.median(np.abs(features - middle), axis=0)
    deviations: NDArray[np.float64] = (
        ((features - middle) / np.maximum(spread, 1e-3)).clip(-4, 4).mean(axis=1)
    )
    return deviations
