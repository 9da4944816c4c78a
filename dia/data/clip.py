"""A clip on its way into a data set: sound and labels, before codes. What every source gives and `rows.py`
stores.

Times are seconds from the clip's beginning; valence, arousal and dominance lie in -1..1, intensity and
confidence in 0..1. A label that nobody gave is missing or None, never a neutral one. Every label says where
it comes from (`origin`: `human`, or a model with its version) and how sure that origin is.
"""

from dataclasses import dataclass, field
from typing import Any

from dia.dialogue import Nonverbal, Script, Turn
from dia.types import Waveform


@dataclass(frozen=True)
class Emotion:
    """One opinion on how a turn is spoken; a turn may have several, of several origins."""

    origin: str
    label: str | None = None
    intensity: float | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class LabelledTurn:
    """What one speaker (1, 2, ...) says; ``voice`` is the speaker's name in the source, empty when nobody
    knows.
    """

    speaker: int
    text: str
    start: float | None = None
    end: float | None = None
    voice: str = ""
    emotions: tuple[Emotion, ...] = ()


@dataclass(frozen=True)
class LabelledNonverbal:
    """A nonverbal sound before character ``char`` of turn number ``turn`` (from 0)."""

    tag: str
    turn: int
    char: int
    origin: str
    start: float | None = None
    end: float | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Clip:
    """One dialogue with its sound: ``waveform`` is float32 (samples,) at ``sample_rate`` hertz."""

    id: str
    source: str
    licence: str
    commercial_ok: bool
    turns: tuple[LabelledTurn, ...]
    nonverbals: tuple[LabelledNonverbal, ...]
    waveform: Waveform
    sample_rate: int
    quality: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / self.sample_rate


def script_of(turns: list[dict[str, Any]], nonverbals: list[dict[str, Any]]) -> Script:
    """Return the script of a row's turns and nonverbals (as stored: lists of dicts)."""
    return Script(
        tuple(
            Turn(
                turn["speaker"],
                turn["text"],
                tuple(
                    Nonverbal(sound["tag"], sound["char"])
                    for sound in sorted(nonverbals, key=lambda sound: sound["char"])
                    if sound["turn"] == number
                ),
            )
            for number, turn in enumerate(turns)
        )
    )
