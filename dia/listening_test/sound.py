"""Sound made comparable: mono, 24 kHz, as loud as its rivals, without long silence at its ends; and the
spoilt clip of a check.

Waves are float32 (samples,) at 24 kHz. Pauses inside a clip are how it was spoken, and stay.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dia.audio.files import read_audio
from dia.errors import UserError
from dia.types import Waveform

SAMPLE_RATE = 24_000  # hertz
LOUDNESS = -23.0  # LUFS, EBU R 128
SILENCE = 0.2  # seconds, the most that stays at either end
QUIET = -45.0  # dB below the loudest frame: silence
FRAME = SAMPLE_RATE // 100
CEILING = 0.97  # of full scale
SHORTEST = 0.4  # seconds: one block of the loudness meter
CHECK_NOISE = 0.0  # dB, speech against the noise that spoils it


class NotComparable(ValueError):
    """Why a clip cannot be put beside others."""


def prepare_clip(path: Path) -> Waveform:
    """Return a recording, trimmed. Raises :class:`NotComparable` for silence, for less than 0.4 s and for a
    damaged file.
    """
    try:
        waveform = trim(read_audio(path, SAMPLE_RATE))
    except UserError as error:
        raise NotComparable(str(error)) from error
    if len(waveform) <= SHORTEST * SAMPLE_RATE:
        raise NotComparable(
            f"{len(waveform) / SAMPLE_RATE:.2f} s of sound, too short to measure how loud it is"
        )
    if not np.isfinite(loudness(waveform)):
        raise NotComparable("silence")
    return waveform


def trim(waveform: Waveform) -> Waveform:
    """Cut silence at both ends down to 200 ms; a waveform of nothing but silence becomes empty."""
    frames = len(waveform) // FRAME
    power = np.square(waveform[: frames * FRAME].reshape(frames, FRAME), dtype=np.float64).mean(axis=1)
    if not frames or power.max() <= 1e-10:  # -100 dB of full scale
        return waveform[:0]
    sounding = np.flatnonzero(power > power.max() * 10 ** (QUIET / 10))
    keep = int(SILENCE * SAMPLE_RATE)
    return waveform[max(0, int(sounding[0]) * FRAME - keep) : (int(sounding[-1]) + 1) * FRAME + keep]


def loudness(waveform: Waveform) -> float:
    """Return the integrated loudness in LUFS (ITU-R BS.1770), minus infinity for silence."""
    import pyloudnorm

    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(waveform))


def match(waveforms: Mapping[str, Waveform]) -> dict[str, Waveform]:
    """Bring clips that are compared to one loudness: -23 LUFS, or as much lower, for all of them, as keeps
    peaks unclipped.
    """
    found = {name: loudness(waveform) for name, waveform in waveforms.items()}
    highest = [
        found[name] + 20 * np.log10(CEILING / np.abs(waveform).max()) for name, waveform in waveforms.items()
    ]
    target = min([LOUDNESS, *highest])
    return {
        name: (waveform * 10 ** ((target - found[name]) / 20)).astype(np.float32)
        for name, waveform in waveforms.items()
    }


def spoil(waveform: Waveform, random: np.random.Generator) -> Waveform:
    """Return a clip under white noise as strong as its own speech, which nobody who listens prefers."""
    power = np.square(waveform, dtype=np.float64).mean()
    noise = np.sqrt(power / 10 ** (CHECK_NOISE / 10)) * random.standard_normal(len(waveform))
    return np.asarray(waveform + noise, np.float32)
