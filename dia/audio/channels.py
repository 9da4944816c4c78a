"""Random recording channels (speed, room, bandwidth, noise), for training data of few recordings."""

from dataclasses import dataclass

import numpy as np
from scipy import signal

from dia.audio.files import resample
from dia.types import Waveform

SHARE = 0.6  # probability of each effect
SPEEDS = 0.88, 1.14
ROOM = 0.08, 0.4  # seconds in which reverberation decays by 60 dB
DIRECT = 2.0  # energy of the direct sound beside that of the room, at least
LOWEST, HIGHEST = (40.0, 350.0), (3_000.0, 7_800.0)  # hertz of the cut-off frequencies
TILT = 6.0  # decibels between the ends of the spectrum, at most
NOISE = -55.0, -25.0  # decibels below the sound


@dataclass(frozen=True)
class RandomChannel:
    """Sends waveforms of one sample rate through random channels; the generator decides everything."""

    sample_rate: int

    def __call__(self, waveform: Waveform, random: np.random.Generator) -> Waveform:
        """Return the waveform (samples,) through a channel; its length changes with its speed."""
        changed = np.asarray(waveform, dtype=np.float32)
        for effect in (self._at_speed, self._in_room, self._filtered, self._with_noise):
            if random.random() < SHARE:
                changed = effect(changed, random)
        return changed

    def _at_speed(self, waveform: Waveform, random: np.random.Generator) -> Waveform:
        return resample(waveform, self.sample_rate * random.uniform(*SPEEDS), self.sample_rate)

    def _in_room(self, waveform: Waveform, random: np.random.Generator) -> Waveform:
        seconds = random.uniform(*ROOM)
        times = np.arange(round(seconds * self.sample_rate)) / self.sample_rate
        response = random.normal(size=len(times)) * 10 ** (-3 * times / seconds)
        response *= 1 / np.sqrt(np.sum(response**2) * random.uniform(DIRECT, 20))
        response[0] += 1.0
        return np.asarray(signal.fftconvolve(waveform, response)[: len(waveform)], dtype=np.float32)

    def _filtered(self, waveform: Waveform, random: np.random.Generator) -> Waveform:
        nyquist = self.sample_rate / 2
        low, high = random.uniform(*LOWEST), min(random.uniform(*HIGHEST), 0.99 * nyquist)
        spectrum = np.fft.rfft(waveform)
        frequencies = np.fft.rfftfreq(len(waveform), 1 / self.sample_rate)
        tilt = 10 ** (random.uniform(-TILT, TILT) * (frequencies / nyquist - 0.5) / 20)
        flank = 1 / np.sqrt(1 + (frequencies / high) ** 12) / np.sqrt(1 + (low / (frequencies + 1)) ** 4)
        return np.asarray(np.fft.irfft(spectrum * tilt * flank, len(waveform)), dtype=np.float32)

    def _with_noise(self, waveform: Waveform, random: np.random.Generator) -> Waveform:
        level = float(np.sqrt(np.mean(waveform**2))) * 10 ** (random.uniform(*NOISE) / 20)
        return np.asarray(waveform + random.normal(size=len(waveform)) * level, dtype=np.float32)
