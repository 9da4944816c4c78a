"""Make clips comparable (mono, 24 kHz, equal loudness, trimmed), and degrade clips for attention checks.

Waveforms are float32 (samples,) at 24 kHz. Pauses inside a clip belong to the speech and are not changed.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dia.audio.files import read_audio
from dia.errors import UserError
from dia.types import Waveform

SAMPLE_RATE = 24_000  # hertz
LOUDNESS = -23.0  # LUFS, EBU R 128
SILENCE = 0.2  # seconds of silence that stay at each end
QUIET = -45.0  # dB relative to the loudest frame: below is silence
FRAME = SAMPLE_RATE // 100
CEILING = 0.97  # of full scale
SHORTEST = 0.4  # seconds: one block of the loudness meter
CHECK_SNR = 0.0  # dB, signal-to-noise ratio of a degraded clip


class UnusableClip(ValueError):
    """The reason why a clip cannot be compared with others."""


def prepare_clip(path: Path) -> Waveform:
    """Return a trimmed recording. Raises :class:`UnusableClip` for silence, short and damaged files."""
    try:
        waveform = trim_silence(read_audio(path, SAMPLE_RATE))
    except UserError as error:
        raise UnusableClip(str(error)) from error
    if len(waveform) <= SHORTEST * SAMPLE_RATE:
        seconds = len(waveform) / SAMPLE_RATE
        raise UnusableClip(f"{seconds:.2f} s of audio, too short to measure the loudness")
    if not np.isfinite(clip_loudness(waveform)):
        raise UnusableClip("silence")
    return waveform


def trim_silence(waveform: Waveform) -> Waveform:
    """Cut the silence at both ends down to 200 ms; a silent waveform becomes empty."""
    frames = len(waveform) // FRAME
    power = np.square(waveform[: frames * FRAME].reshape(frames, FRAME), dtype=np.float64).mean(axis=1)
    if not frames or power.max() <= 1e-10:  # -100 dB of full scale
        return waveform[:0]
    audible = np.flatnonzero(power > power.max() * 10 ** (QUIET / 10))
    margin = int(SILENCE * SAMPLE_RATE)
    return waveform[max(0, int(audible[0]) * FRAME - margin) : (int(audible[-1]) + 1) * FRAME + margin]


def clip_loudness(waveform: Waveform) -> float:
    """Return the integrated loudness in LUFS (ITU-R BS.1770), minus infinity for silence."""
    import pyloudnorm

    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(waveform))


def match_loudness(waveforms: Mapping[str, Waveform]) -> dict[str, Waveform]:
    """Return clips at one loudness: -23 LUFS, or the highest at which no clip exceeds full scale."""
    levels = {name: clip_loudness(waveform) for name, waveform in waveforms.items()}
    highest = [
        levels[name] + 20 * np.log10(CEILING / np.abs(waveform).max()) for name, waveform in waveforms.items()
    ]
    target = min([LOUDNESS, *highest])
    return {
        name: (waveform * 10 ** ((target - levels[name]) / 20)).astype(np.float32)
        for name, waveform in waveforms.items()
    }


def degrade(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Return a clip with white noise of the power of its speech, which no attentive listener prefers."""
    power = np.square(waveform, dtype=np.float64).mean()
    noise = np.sqrt(power / 10 ** (CHECK_SNR / 10)) * rng.standard_normal(len(waveform))
    return np.asarray(waveform + noise, np.float32)
