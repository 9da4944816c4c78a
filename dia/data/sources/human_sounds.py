"""Recorded nonverbal sounds of people (data/human_sounds), chosen for the pitch of a voice.

Each split has its own people. A sound is stored trimmed, as 24 kHz mono.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow.parquet as pq

from dia.audio.files import resample, waveform_from_bytes
from dia.data.sources.voices import SAMPLE_RATE
from dia.resources import resource
from dia.types import Waveform

NEAREST = 3  # a sound comes from the third of the recordings with the nearest pitches
FADE = 0.015  # seconds of the fades at both ends


@dataclass(frozen=True)
class HumanSound:
    """A recording of one nonverbal sound.

    ``pitch`` is the person's median in hertz, or ``None``; ``score`` in 0..1 is the detector's, by which the
    recording was selected.
    """

    id: str
    tag: str
    person: str
    pitch: float | None
    score: float
    audio: bytes

    def waveform(self) -> Waveform:
        """Return float32 (samples,) at 24 kHz, faded in and out."""
        waveform = resample(*waveform_from_bytes(self.audio), SAMPLE_RATE).copy()
        ramp = np.linspace(0, 1, min(round(FADE * SAMPLE_RATE), len(waveform) // 2), dtype=np.float32)
        waveform[: len(ramp)] *= ramp
        waveform[len(waveform) - len(ramp) :] *= ramp[::-1]
        return waveform


@cache
def read_human_sounds(split: str) -> dict[str, tuple[HumanSound, ...]]:
    """Return the recordings of a split by tag."""
    rows = pq.read_table(resource(f"data/human_sounds/{split}.parquet")).to_pylist()
    by_tag: dict[str, list[HumanSound]] = {}
    for row in rows:
        sound = HumanSound(
            row["id"], row["tag"], row["person"], row["pitch"], row["score"], row["audio"]["bytes"]
        )
        by_tag.setdefault(sound.tag, []).append(sound)
    return {tag: tuple(sounds) for tag, sounds in by_tag.items()}


def draw_human_sound(split: str, tag: str, pitch: float, random: np.random.Generator) -> HumanSound | None:
    """Draw a recording of ``tag`` by a person whose pitch is near ``pitch`` (hertz), if the split has one.

    It comes from the third of the recordings with the nearest pitches; those of unknown pitch suit any voice.
    """
    sounds = read_human_sounds(split).get(tag)
    if not sounds:
        return None
    distances = [abs(np.log2(sound.pitch / pitch)) if sound.pitch else 0.0 for sound in sounds]
    nearest = np.argsort(distances, kind="stable")[: -(-len(sounds) // NEAREST)]
    if max(distances) == 0:
        nearest = np.arange(len(sounds))
    return sounds[int(random.choice(nearest))]
