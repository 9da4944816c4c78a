"""Write a synthetic `local` corpus: voiced clips with breath and pauses, different for each seed."""

import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile

from dia.types import Waveform

SAMPLE_RATE = 44_100
LENGTHS = (3.0, 5.0, 9.0, 4.0, 10.5, 6.0, 2.5, 8.0)  # seconds of consecutive clips, 48 in total
TARGET = -16.0  # LUFS to which dac's command normalizes its input


def write_corpus(folder: Path, seconds: float, normalised: bool = False) -> tuple[int, float]:
    """Write a corpus of about ``seconds`` of audio; return the number of clips and the exact seconds.

    ``normalised`` clips have the loudness and peak to which dac's command normalizes, computed by dac's own
    tools.
    """
    folder.mkdir(parents=True)
    lines, total = [], 0.0
    for number, length in enumerate(clip_lengths(seconds)):
        waveform = synthesize_clip(length, number)
        name = f"{number:05d}.wav"
        soundfile.write(
            folder / name, _normalised(waveform) if normalised else waveform, SAMPLE_RATE, subtype="FLOAT"
        )
        lines.append(json.dumps({"audio": name, "text": f"[S1] Clip {number}."}))
        total += len(waveform) / SAMPLE_RATE
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines), total


def clip_lengths(seconds: float) -> list[float]:
    """Return clip lengths that add up to ``seconds``; the last one absorbs a remainder below a second."""

    def lengths() -> Iterator[float]:
        remaining = seconds
        for length in cycle(LENGTHS):
            if remaining - length < 1.0:
                yield remaining
                return
            yield length
            remaining -= length

    return list(lengths())


def synthesize_clip(seconds: float, seed: int) -> Waveform:
    """Return a waveform (samples,): harmonics of a varying pitch in syllables, with breath noise."""
    rng = np.random.default_rng(seed)
    count = max(1, round(seconds * SAMPLE_RATE))
    time = np.arange(count) / SAMPLE_RATE
    pitch = rng.uniform(90, 220) * 2 ** (
        0.3 * np.sin(2 * np.pi * rng.uniform(0.3, 0.8) * time + rng.uniform(0, 6))
    )
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    voiced = np.zeros(count)
    for harmonic in range(1, 13):
        voiced += np.sin(harmonic * phase) / harmonic
    syllables = np.clip(np.sin(2 * np.pi * 2.2 * time + rng.uniform(0, 6)) + 0.3, 0, None)
    return (0.15 * voiced * syllables + 0.02 * rng.standard_normal(count)).astype(np.float32)


def _normalised(waveform: Waveform) -> Waveform:
    from audiotools import AudioSignal

    signal = AudioSignal(waveform[None, None], SAMPLE_RATE).normalize(TARGET).ensure_max_of_audio()
    normalized: Waveform = signal.audio_data[0, 0].numpy()
    return normalized
