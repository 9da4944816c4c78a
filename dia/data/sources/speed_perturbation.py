"""Copies of training clips at other speeds, which count as clips of other speakers.

Resampling by a factor changes pace, pitch and formants together: "Audio Augmentation for Speech Recognition",
Ko et al. 2015. A model that learns to clone meets more voices, from little more than the time of the codec.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import soxr

from dia.data.clip import Clip
from dia.data.length_limits import LengthLimits
from dia.data.source import Source, Tally, Unit


@dataclass(frozen=True)
class SpeedPerturbation:
    """Another source whose training clips occur once more for each of ``factors``."""

    source: Source
    factors: tuple[float, ...]

    def request(self) -> dict[str, Any]:
        """Return the request of the source, and the factors."""
        return self.source.request() | {"speed_factors": list(self.factors)}

    def count(self) -> int | None:
        """Return the number of units of the source."""
        return self.source.count()

    def units(self) -> Iterator[Unit]:
        """Yield the units of the source."""
        return self.source.units()

    def check(self, limits: LengthLimits) -> None:
        """See :class:`dia.data.source.Source`."""
        self.source.check(limits)

    def read(self, unit: Unit, tally: Tally) -> list[Clip]:
        """Return the clips of a unit; those for training are followed by their copies."""
        clips = self.source.read(unit, tally)
        if unit.split != "train":
            return clips
        return clips + [at_speed(clip, factor) for factor in self.factors for clip in clips]


def at_speed(clip: Clip, factor: float) -> Clip:
    """Return ``clip`` at ``factor`` times its speed, with ``~FACTOR`` after its id and its voices' names."""
    waveform = soxr.resample(clip.waveform, clip.sample_rate * factor, clip.sample_rate, "VHQ")

    def scaled(time: float | None) -> float | None:
        return None if time is None else time / factor

    turns = [
        replace(
            turn,
            start=scaled(turn.start),
            end=scaled(turn.end),
            voice=turn.voice and f"{turn.voice}~{factor:g}",
        )
        for turn in clip.turns
    ]
    nonverbals = [replace(item, start=scaled(item.start), end=scaled(item.end)) for item in clip.nonverbals]
    return replace(
        clip,
        id=f"{clip.id}~{factor:g}",
        turns=tuple(turns),
        nonverbals=tuple(nonverbals),
        waveform=np.asarray(waveform, dtype=np.float32),
    )
