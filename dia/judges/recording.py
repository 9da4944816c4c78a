"""The input of all judges and metrics: the recording of one prompt by one system."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dia.dialogue import Script
from dia.types import Waveform

ENGLISH = "en"
Times = tuple[float, float]  # start and end in seconds


@dataclass(frozen=True)
class Recording:
    """A recording of a prompt.

    ``waveform`` is float32 (samples,) at ``sample_rate`` hertz. ``turn_times`` are (start, end) of each turn
    in seconds, if known. ``ended`` is false when the system reached its length limit before the end of the
    script. ``language`` is the code of ISO 639 that Whisper uses ("en", "zh"). ``voice_names`` are the names
    of the voices of a voice prompt's turns, where they are known.
    """

    prompt_id: str
    system: str
    script: Script
    waveform: Waveform
    sample_rate: int
    seed: int = 0
    turn_times: tuple[tuple[float, float], ...] | None = None
    ended: bool = True
    language: str = ENGLISH
    voice_names: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.waveform) / self.sample_rate

    @property
    def script_tags(self) -> set[str]:
        """The tags in the script."""
        return {nonverbal.tag for turn in self.script.turns for nonverbal in turn.nonverbals}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of audio, script, times, language and names of voices, whatever the system.

        The waveform must not change.
        """
        digest = hashlib.sha256(np.ascontiguousarray(self.waveform, dtype="<f4").tobytes())
        described = [self.sample_rate, self.script.render(), self.ended, self.turn_times]
        if self.language != ENGLISH:  # English recordings keep the fingerprints of earlier versions
            described.append(self.language)
        if self.voice_names:
            described.append(self.voice_names)
        digest.update(json.dumps(described).encode())
        return digest.hexdigest()
