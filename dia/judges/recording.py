"""What is scored: one recording of one prompt by one system, failures included."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dia.dialogue import Script
from dia.types import Waveform

Times = tuple[float, float]  # start and end in seconds


@dataclass(frozen=True)
class Recording:
    """A spoken prompt.

    ``waveform`` is float32 (samples,) at ``sample_rate`` hertz. ``turn_times`` are the (start, end) of each
    turn in seconds where they are known. ``ended`` is false when the system ran out of room before it came to
    an end.
    """

    prompt_id: str
    system: str
    script: Script
    waveform: Waveform
    sample_rate: int
    seed: int = 0
    turn_times: tuple[tuple[float, float], ...] | None = None
    ended: bool = True

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / self.sample_rate

    @property
    def script_tags(self) -> set[str]:
        """The tags that the script asks for."""
        return {nonverbal.tag for turn in self.script.turns for nonverbal in turn.nonverbals}

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of the sound and of what is known of it, whoever spoke it; the waveform must not change
        afterwards.
        """
        found = hashlib.sha256(np.ascontiguousarray(self.waveform, dtype="<f4").tobytes())
        found.update(
            json.dumps([self.sample_rate, self.script.render(), self.ended, self.turn_times]).encode()
        )
        return found.hexdigest()
