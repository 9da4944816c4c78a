"""The demo corpus: planned dialogues, synthesized by two neural voices, with synthesized nonverbal sounds."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from dia.config.data import DemoConfig
from dia.data.clip import Clip
from dia.data.length_limits import LengthLimits
from dia.data.source import Tally, Unit
from dia.data.sources.demo_scripts import plan_clips
from dia.data.sources.nonverbal_sounds import SYNTHESIZERS
from dia.data.sources.synthesis import Rendering, render_clip

VERSION = 7  # increase when the same request yields other audio


def tag_problems(key: str, tags: list[str]) -> list[str]:
    """Return a problem for each tag of the config key that has no generator of its sound."""
    return [
        f"{key} has ({tag}), which has no sound; there are: {', '.join(SYNTHESIZERS)}"
        for tag in tags
        if tag not in SYNTHESIZERS
    ]


@dataclass(frozen=True)
class DemoSource:
    """The demo corpus; see :class:`dia.data.source.Source`. Audio is a function of id, plan and seed."""

    config: DemoConfig

    def request(self) -> dict[str, Any]:
        """Return the config and the version of the synthesis."""
        return {"demo": asdict(self.config), "version": VERSION}

    def count(self) -> int:
        """Return the number of dialogues."""
        return sum(self.config.clips.values())

    def units(self) -> Iterator[Unit]:
        """Yield the planned dialogues."""
        config = self.config
        for clip in plan_clips(
            config.clips, config.turns, config.tags, config.tag_rate, config.style_rate, config.seed
        ):
            yield Unit(clip.id, clip.split, clip)

    def check(self, limits: LengthLimits) -> None:
        """Do nothing: its labels are this project's own, and its texts are short."""

    def read(self, unit: Unit, tally: Tally) -> list[Clip]:
        """Return the synthesized dialogue, at 24 kHz."""
        return [render_clip(unit.content, Rendering("demo", self.config.seed))]
