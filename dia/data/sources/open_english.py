"""The corpus open_english: dialogues of open vocabulary by many synthesized voices."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from dia.config.data import OpenEnglishConfig
from dia.data.clip import Clip
from dia.data.length_limits import LengthLimits
from dia.data.source import Tally, Unit
from dia.data.sources.open_english_scripts import plan_open_clips
from dia.data.sources.synthesis import Rendering, render_clip

VERSION = 2  # increase when the same request yields other audio


@dataclass(frozen=True)
class OpenEnglishSource:
    """The corpus of open vocabulary; see :class:`dia.data.source.Source`.

    Audio is a function of id, plan and seed.
    """

    config: OpenEnglishConfig
    device: str = "cpu"
    """Device of Kokoro's voices; their audio differs slightly between devices."""

    def request(self) -> dict[str, Any]:
        """Return the config and the version of the synthesis."""
        return {"open_english": asdict(self.config), "version": VERSION}

    def count(self) -> int:
        """Return the number of dialogues."""
        return sum(self.config.clips.values())

    def units(self) -> Iterator[Unit]:
        """Yield the planned dialogues."""
        for clip in plan_open_clips(self.config):
            yield Unit(clip.id, clip.split, clip)

    def check(self, limits: LengthLimits) -> None:
        """Do nothing: its labels are this project's own, and its texts are short."""

    def read(self, unit: Unit, tally: Tally) -> list[Clip]:
        """Return the synthesized dialogue, at 24 kHz."""
        config = self.config
        dtype = torch.bfloat16 if config.kokoro_bfloat16 else torch.float32
        rendering = Rendering("open_english", config.seed, config.recorded_sounds, self.device, dtype)
        return [render_clip(unit.content, rendering)]
