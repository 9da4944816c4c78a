"""Sound files to prepare: something that is voiced, breathes and pauses, new for every seed, as a `local`
corpus.
"""

import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile

from dia.types import Waveform

SAMPLE_RATE = 44_100
LENGTHS = (3.0, 5.0, 9.0, 4.0, 10.5, 6.0, 2.5, 8.0)  # seconds of clips, in turn: 48 together
TARGET = -16.0  # LUFS to which dac's command brings what it encodes


def write_corpus(folder: Path, seconds: float, normalised: bool = False) -> tuple[int, float]:
    """Write a corpus of about ``seconds`` of sound; return its clips, and its seconds exactly.

    ``normalised`` brings every clip to the loudness and highest sample that dac's command wants, by dac's own
    tools.
    """
    folder.mkdir(parents=True)
    lines, total = [], 0.0
    for number, length in enumerate(lengths_of(seconds)):
        waveform = voice_like(length, number)
        name = f"{number:05d}.wav"
        soundfile.write(
            folder / name, _normalised(waveform) if normalised else waveform, SAMPLE_RATE, subtype="FLOAT"
        )
        lines.append(json.dumps({"audio": name, "text": f"[S1] Clip {number}."}))
        total += len(waveform) / SAMPLE_RATE
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines), total


def lengths_of(seconds: float) -> list[float]:
    """Return clip lengths that add up to ``seconds``; the last one is cut, and what is left under a second
    goes to it.
    """

    def lengths() -> Iterator[float]:
        left = seconds
        for length in cycle(LENGTHS):
            if left - length < 1.0:
                yield left
                return
            yield length
            left -= length

    return list(lengths())


def voice_like(seconds: float, seed: int) -> Waveform:
    """Return a waveform (samples,): harmonics of a wandering pitch in syllables, with breath."""
    random = np.random.default_rng(seed)
    count = max(1, round(seconds * SAMPLE_RATE))
    time = np.arange(count) / SAMPLE_RATE
    pitch = random.uniform(90, 220) * 2 ** (
        0.3 * np.sin(2 * np.pi * random.uniform(0.3, 0.8) * time + random.uniform(0, 6))
    )
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    voiced = np.zeros(count)
    for harmonic in range(1, 13):
        voiced += np.sin(harmonic * phase) / harmonic
    syllables = np.clip(np.sin(2 * np.pi * 2.2 * time + random.uniform(0, 6)) + 0.3, 0, None)
    return (0.15 * voiced * syllables + 0.02 * random.standard_normal(count)).astype(np.float32)


def _normalised(waveform: Waveform) -> Waveform:
    from audiotools import AudioSignal

    signal = AudioSignal(waveform[None, None], SAMPLE_RATE).normalize(TARGET).ensure_max_of_audio()
    made: Waveform = signal.audio_data[0, 0].numpy()
    return made
