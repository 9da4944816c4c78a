"""Synthesis of nonverbal sounds with a source-filter model: no recordings, a new variant for every seed.

A sound is an excitation (glottal pulses or breath noise), resonances (the vocal tract) and a loudness
contour. Each synthesizer draws its own pitch, length and pace, so no two sounds are equal. They are
imitations; the evaluation measures which of them an independent event detector recognises.

Legend: waveforms are float arrays of shape (samples,), lengths in seconds, sample rate and pitch in hertz.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from dia.types import Waveform

DoubleSamples = NDArray[np.float64]

OPEN_VOWEL = ((850.0, 90.0), (1450.0, 110.0), (2700.0, 170.0), (3600.0, 250.0))
SCHWA = ((550.0, 80.0), (1500.0, 120.0), (2500.0, 170.0), (3500.0, 250.0))
CLOSED_LIPS = ((260.0, 60.0), (1100.0, 300.0), (2200.0, 400.0))


@dataclass(frozen=True)
class VocalTract:
    """Parameters of synthesis: sample rate (hertz), the speaker's pitch (hertz), and the random generator."""

    sample_rate: int
    pitch: float
    random: np.random.Generator

    def samples(self, seconds: float) -> int:
        """Return the number of samples of ``seconds``, at least one."""
        return max(1, round(seconds * self.sample_rate))

    def between(self, low: float, high: float) -> float:
        """Draw uniformly from ``low`` to ``high``."""
        return float(self.random.uniform(low, high))


def _curve(points: list[tuple[float, float]], samples: int) -> DoubleSamples:
    """Piecewise linear contour (samples,) through points (position 0..1, value)."""
    places, values = zip(*points, strict=True)
    contour: DoubleSamples = np.interp(np.linspace(0, 1, samples), places, values)
    return contour


def _voiced(
    tract: VocalTract, pitch: DoubleSamples, tilt: float = 1.2, jitter: float = 0.02
) -> DoubleSamples:
    """Harmonic excitation with ``pitch`` (samples,) in hertz; ``tilt`` is the exponent of spectral decay."""
    wobble = signal.lfilter([1], [1, -0.995], tract.random.normal(size=len(pitch))) * 0.1
    phase = 2 * np.pi * np.cumsum(pitch * (1 + jitter * np.clip(wobble, -3, 3))) / tract.sample_rate
    highest = int(tract.sample_rate * 0.45 / max(float(pitch.max()), 1.0))
    return sum((np.cos(k * phase) / k**tilt for k in range(1, min(highest, 60) + 1)), np.zeros(len(pitch)))


def _noise(tract: VocalTract, samples: int) -> DoubleSamples:
    return tract.random.normal(size=samples)


def _resonate(
    waveform: DoubleSamples,
    formants: tuple[tuple[float, float], ...],
    tract: VocalTract,
    stretch: float = 1.0,
) -> DoubleSamples:
    """Parallel two-pole resonances (frequency, bandwidth in hertz); ``stretch`` scales the frequencies."""
    out = np.zeros(len(waveform))
    for rank, (frequency, bandwidth) in enumerate(formants):
        centre = min(frequency * stretch, tract.sample_rate * 0.45)
        numerator, denominator = signal.iirpeak(centre, centre / bandwidth, fs=tract.sample_rate)
        out += signal.lfilter(numerator, denominator, waveform) / (1 + 0.5 * rank)
    return out


def _band(waveform: DoubleSamples, low: float, high: float, tract: VocalTract) -> DoubleSamples:
    """Band-pass filter from ``low`` to ``high`` hertz."""
    sections = signal.butter(
        2, [low, min(high, tract.sample_rate * 0.45)], "bandpass", fs=tract.sample_rate, output="sos"
    )
    return np.asarray(signal.sosfilt(sections, waveform))


def _join(parts: list[DoubleSamples], gaps: list[float], tract: VocalTract) -> DoubleSamples:
    pieces = [
        piece for part, gap in zip(parts, gaps, strict=True) for piece in (part, np.zeros(tract.samples(gap)))
    ]
    return np.concatenate(pieces)


def _laugh(tract: VocalTract) -> DoubleSamples:
    """Voiced, breathy bursts ('ha'), four to five per second, with falling pitch and loudness."""
    count, pace = int(tract.random.integers(4, 8)), tract.between(0.17, 0.23)
    top, parts = tract.pitch * tract.between(1.5, 2.1), []
    stretch = tract.between(0.95, 1.15) * (1.0 if tract.pitch < 150 else 1.12)
    for index in range(count):
        samples = tract.samples(pace * tract.between(0.9, 1.1))
        fall = 1 - 0.45 * index / count
        pitch = top * fall * _curve([(0, 1.0), (0.45, 1.15), (1, 0.8)], samples)
        voice = _voiced(tract, pitch, tilt=1.0) * _curve(
            [(0, 0), (0.3, 0.05), (0.42, 1), (0.65, 0.7), (0.8, 0), (1, 0)], samples
        )
        breath = _noise(tract, samples) * _curve(
            [(0, 0.1), (0.2, 0.9), (0.45, 0.35), (0.8, 0.25), (1, 0.1)], samples
        )
        burst = _resonate(voice + 0.9 * breath, OPEN_VOWEL, tract, stretch)
        parts.append(burst * (1 - 0.5 * index / count))
    return np.concatenate(parts)


def _chuckle(tract: VocalTract) -> DoubleSamples:
    """Two to four short, low, closed bursts."""
    parts = []
    for index in range(int(tract.random.integers(3, 5))):
        samples = tract.samples(tract.between(0.13, 0.17))
        pitch = tract.pitch * (1.2 - 0.08 * index) * _curve([(0, 1.05), (1, 0.85)], samples)
        source = _voiced(tract, pitch, 1.3) * _curve(
            [(0, 0), (0.3, 0.1), (0.45, 1), (0.75, 0), (1, 0)], samples
        )
        breath = _noise(tract, samples) * _curve([(0, 0.2), (0.25, 0.8), (0.6, 0.1), (1, 0)], samples)
        parts.append(_resonate(source + 0.7 * breath, SCHWA, tract, tract.between(0.95, 1.1)))
    return np.concatenate(parts)


def _cough(tract: VocalTract) -> DoubleSamples:
    """One to three explosive bursts of noise over a low rattle."""
    count, parts = int(tract.random.integers(1, 4)), []
    for index in range(count):
        samples = tract.samples(tract.between(0.28, 0.4))
        shape = _curve([(0, 0), (0.02, 1), (0.18, 0.45), (0.45, 0.2), (0.6, 0.28), (1, 0)], samples)
        burst = _resonate(
            _noise(tract, samples),
            ((700, 260), (1400, 320), (2600, 500), (4200, 900)),
            tract,
            tract.between(0.85, 1.15),
        )
        rattle = _resonate(
            _voiced(tract, tract.pitch * _curve([(0, 1.25), (1, 0.7)], samples), 0.9, 0.15), SCHWA, tract
        )
        voiced = _curve([(0, 0), (0.05, 0.8), (0.3, 0.3), (0.55, 0.35), (1, 0)], samples)
        parts.append((2.2 * burst * shape + 0.5 * rattle * voiced) * 0.85**index)
    return _join(parts, [tract.between(0.02, 0.12) for _ in parts], tract)


def _clear_throat(tract: VocalTract) -> DoubleSamples:
    """Two rough, creaky grunts through nearly closed folds."""
    parts = []
    for length in (tract.between(0.2, 0.3), tract.between(0.35, 0.5)):
        samples = tract.samples(length)
        creak = _voiced(tract, tract.pitch * 0.75 * _curve([(0, 1.1), (1, 0.8)], samples), 0.8, 0.35)
        rasp = _noise(tract, samples) * (
            0.6 + 0.4 * signal.square(2 * np.pi * 38 * np.arange(samples) / tract.sample_rate)
        )
        shape = _curve([(0, 0), (0.1, 1), (0.7, 0.7), (1, 0)], samples)
        parts.append(_resonate(creak + 1.4 * rasp, ((480, 120), (1250, 220), (2400, 350)), tract) * shape)
    return _join(parts, [tract.between(0.03, 0.08), 0.0], tract)


def _sigh(tract: VocalTract) -> DoubleSamples:
    """An inhalation, then a long exhalation with a falling murmur."""
    inward = _gasp(tract) * 0.35
    samples = tract.samples(tract.between(0.9, 1.4))
    breath = _resonate(
        _noise(tract, samples), ((650, 300), (1500, 400), (2600, 600)), tract, tract.between(0.9, 1.1)
    )
    murmur = _resonate(
        _voiced(tract, tract.pitch * _curve([(0, 1.25), (0.3, 1.05), (1, 0.7)], samples), 1.7),
        SCHWA,
        tract,
    )
    shape = _curve([(0, 0), (0.12, 1), (0.45, 0.55), (1, 0)], samples)
    return np.concatenate(
        [
            inward,
            (breath + 0.45 * murmur * _curve([(0, 0.2), (0.15, 1), (0.6, 0.3), (1, 0)], samples)) * shape,
        ]
    )


def _gasp(tract: VocalTract) -> DoubleSamples:
    """A quick inhalation of rising brightness that stops at its loudest."""
    samples = tract.samples(tract.between(0.35, 0.55))
    dull = _resonate(
        _noise(tract, samples), ((700, 300), (1700, 400), (2900, 600)), tract, tract.between(0.95, 1.15)
    )
    bright = _band(_noise(tract, samples), 2500, 6500, tract)
    rise = _curve([(0, 0.05), (0.7, 1), (0.92, 0.8), (1, 0)], samples)
    return (dull + 0.4 * bright * np.linspace(0, 1, samples)) * rise


def _sniff(tract: VocalTract) -> DoubleSamples:
    """One to three short nasal inhalations."""
    parts = []
    for _ in range(int(tract.random.integers(1, 4))):
        samples = tract.samples(tract.between(0.14, 0.24))
        hiss = _band(_noise(tract, samples), 1800, 7000, tract) + 0.6 * _band(
            _noise(tract, samples), 300, 900, tract
        )
        parts.append(hiss * _curve([(0, 0), (0.3, 0.6), (0.75, 1), (1, 0)], samples))
    return _join(parts, [tract.between(0.08, 0.2) for _ in parts], tract)


def _groan(tract: VocalTract) -> DoubleSamples:
    """A long low creaking vowel."""
    samples = tract.samples(tract.between(0.8, 1.2))
    source = _voiced(
        tract, tract.pitch * 0.8 * _curve([(0, 0.95), (0.3, 1.1), (1, 0.75)], samples), 1.1, 0.12
    )
    shape = _curve([(0, 0), (0.15, 0.8), (0.5, 1), (1, 0)], samples)
    return _resonate(source + 0.1 * _noise(tract, samples), SCHWA, tract, tract.between(0.9, 1.05)) * shape


def _hum(tract: VocalTract) -> DoubleSamples:
    """Three to five notes through closed lips."""
    steps = tract.random.choice([0, 2, 4, 5, 7], size=int(tract.random.integers(3, 6)))
    notes = [
        (tract.samples(tract.between(0.28, 0.42)), tract.pitch * 1.15 * 2 ** (step / 12)) for step in steps
    ]
    pitch = np.concatenate([np.full(samples, hertz) for samples, hertz in notes])
    pitch *= 1 + 0.012 * np.sin(2 * np.pi * 5.2 * np.arange(len(pitch)) / tract.sample_rate)
    shape = np.concatenate(
        [_curve([(0, 0.25), (0.2, 1), (0.8, 0.9), (1, 0.25)], samples) for samples, _ in notes]
    )
    voiced = _voiced(tract, signal.savgol_filter(pitch, 501, 1), 1.6, 0.004)
    hum: DoubleSamples = _resonate(voiced, CLOSED_LIPS, tract) * shape
    return hum


def _whistle(tract: VocalTract) -> DoubleSamples:
    """A pure tone that glides up and down, with a little breath noise."""
    samples = tract.samples(tract.between(0.6, 1.0))
    base = tract.between(1100, 1700)
    slide = base * _curve([(0, 0.9), (0.35, tract.between(1.2, 1.5)), (1, tract.between(0.8, 1.3))], samples)
    tone = np.sin(2 * np.pi * np.cumsum(slide) / tract.sample_rate)
    air = 0.03 * _band(_noise(tract, samples), 1000, 6000, tract)
    return (tone + air) * _curve([(0, 0), (0.08, 1), (0.9, 0.9), (1, 0)], samples)


def _beep(tract: VocalTract) -> DoubleSamples:
    """A steady electronic tone."""
    samples = tract.samples(tract.between(0.35, 0.6))
    tone = np.sin(2 * np.pi * tract.between(900, 1100) * np.arange(samples) / tract.sample_rate)
    return tone * _curve([(0, 0), (0.02, 1), (0.98, 1), (1, 0)], samples)


def _clap(tract: VocalTract) -> DoubleSamples:
    """Three to five hand claps: clicks that decay within a few milliseconds."""
    parts = []
    for _ in range(int(tract.random.integers(3, 6))):
        samples = tract.samples(0.09)
        decay = np.exp(-np.arange(samples) / tract.sample_rate / tract.between(0.008, 0.014))
        parts.append(
            _band(_noise(tract, samples), 700, 3500, tract) * decay + 0.3 * _noise(tract, samples) * decay**3
        )
    return _join(parts, [tract.between(0.12, 0.2) for _ in parts], tract)


SYNTHESIZERS: dict[str, Callable[[VocalTract], DoubleSamples]] = {
    "beep": _beep,
    "chuckle": _chuckle,
    "claps": _clap,
    "clears throat": _clear_throat,
    "coughs": _cough,
    "gasps": _gasp,
    "groans": _groan,
    "humming": _hum,
    "laughs": _laugh,
    "sighs": _sigh,
    "sniffs": _sniff,
    "whistles": _whistle,
}


def synthesize_nonverbal(tag: str, pitch: float, sample_rate: int, seed: int) -> Waveform:
    """Return a nonverbal sound for ``tag``, float32 (samples,) with peak 1.

    ``pitch`` is the speaker's usual pitch in hertz. The same arguments give the same samples. Raises
    ``ValueError`` for a tag without a synthesizer.
    """
    if tag not in SYNTHESIZERS:
        raise ValueError(
            f"no synthesizer for the tag ({tag}); choose one of {', '.join(sorted(SYNTHESIZERS))}"
        )
    waveform = SYNTHESIZERS[tag](VocalTract(sample_rate, pitch, np.random.default_rng(seed)))
    waveform = _band(waveform, 60, 10_000, VocalTract(sample_rate, pitch, np.random.default_rng(0)))
    return np.asarray(waveform / np.abs(waveform).max(), np.float32)
