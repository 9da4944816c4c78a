"""Rows of a preference data set from a pair of takes: codes, audio, labels, scores.

Legend: T codec frame, C codec channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dia.audio.files import flac_bytes, read_audio_file, resample
from dia.data.clip import Clip, LabelledNonverbal, LabelledTurn
from dia.data.preferences.schema import Preference, preference_row
from dia.data.schema import row_of
from dia.dialogue import Script
from dia.judges.recording import Times
from dia.types import Waveform


@dataclass(frozen=True)
class PairAudio:
    """The waveforms of a preferred and a rejected take at one rate in hertz."""

    chosen: Waveform
    rejected: Waveform
    sample_rate: int

    @classmethod
    def read(cls, chosen: Path, rejected: Path) -> "PairAudio":
        """Read two files, at the higher of their rates. Raises :class:`UserError` for an unreadable one."""
        read = [read_audio_file(path) for path in (chosen, rejected)]
        highest = max(rate for _, rate in read)
        waveforms = [resample(waveform, rate, highest) for waveform, rate in read]
        return cls(waveforms[0], waveforms[1], highest)

    def at(self, sample_rate: int) -> "PairAudio":
        """Return both at another rate."""
        own = [resample(item, self.sample_rate, sample_rate) for item in (self.chosen, self.rejected)]
        return PairAudio(own[0], own[1], sample_rate)


@dataclass(frozen=True)
class PairSource:
    """What a pair's row needs of its script: names, licence, and labels of turns where they are known."""

    id: str
    source: str
    licence: str
    commercial_ok: bool
    script: Script
    voices: Sequence[str] = ()
    turn_times: Sequence[Times | None] = ()

    def turns(self) -> tuple[LabelledTurn, ...]:
        """Return the turns with their voices and times, as far as they are known."""
        voices = self.voices or [""] * len(self.script.turns)
        times = self.turn_times or [None] * len(self.script.turns)
        return tuple(
            LabelledTurn(turn.speaker, turn.text, pair and pair[0], pair and pair[1], voice)
            for turn, voice, pair in zip(self.script.turns, voices, times, strict=True)
        )

    def nonverbals(self) -> tuple[LabelledNonverbal, ...]:
        """Return the tags of the script, whose sounds nobody has labelled."""
        return tuple(
            LabelledNonverbal(sound.tag, number, sound.char, "script")
            for number, turn in enumerate(self.script.turns)
            for sound in turn.nonverbals
        )


def pair_row(
    source: PairSource,
    split: str,
    codes_TC: np.ndarray,
    codec: str,
    audio: PairAudio,
    preference: Preference,
    *,
    keep_audio: bool,
) -> dict[str, Any]:
    """Return the row of a pair, with FLAC of both takes if ``keep_audio``."""
    clip = Clip(
        source.id,
        source.source,
        source.licence,
        source.commercial_ok,
        source.turns(),
        source.nonverbals(),
        audio.chosen,
        audio.sample_rate,
    )
    row = row_of(clip, split, codes_TC.astype(np.uint16), codec, audio.sample_rate, keep_audio)
    if keep_audio:
        rejected = np.clip(audio.rejected, -1.0, 1.0)
        preference = replace(preference, rejected_flac=flac_bytes(rejected, audio.sample_rate))
    return preference_row(row, preference)
