"""A labelled clip before tokenization: audio, turns, emotions and nonverbals, as every source returns it.

Times are seconds from the beginning of the clip. Valence, arousal and dominance are in -1..1, intensity and
confidence in 0..1. An unknown label is missing or None, never neutral. Every label has an origin (`human`, or
a model with its version) and, except for human labels, a confidence.
"""

from dataclasses import dataclass, field
from typing import Any

from dia.dialogue import Nonverbal, Script, Turn
from dia.types import Waveform


@dataclass(frozen=True)
class Emotion:
    """One label of how a turn is spoken; a turn may have several labels of different origins."""

    origin: str
    label: str | None = None
    intensity: float | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class LabelledTurn:
    """A turn of one speaker (1, 2, ...); ``voice`` is the speaker's name in the source, "" if unknown."""

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
    """One dialogue with its audio: ``waveform`` is float32 (samples,) at ``sample_rate`` hertz."""

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
        """Duration in seconds."""
        return len(self.waveform) / self.sample_rate

    def script(self) -> Script:
        """Return the script of the turns with their nonverbals, without emotions."""
        turns = []
        for number, turn in enumerate(self.turns):
            sounds = sorted((item for item in self.nonverbals if item.turn == number), key=_char)
            nonverbals = tuple(Nonverbal(item.tag, item.char) for item in sounds)
            turns.append(Turn(turn.speaker, turn.text, nonverbals))
        return Script(tuple(turns))


def _char(item: LabelledNonverbal) -> int:
    return item.char


def script_of(turns: list[dict[str, Any]], nonverbals: list[dict[str, Any]]) -> Script:
    """Return the script of a row from its stored turns and nonverbals (lists of dicts)."""
    return Script(
        tuple(
            Turn(
                turn["speaker"],
                turn["text"],
                tuple(
                    Nonverbal(nonverbal["tag"], nonverbal["char"])
                    for nonverbal in sorted(nonverbals, key=lambda item: item["char"])
                    if nonverbal["turn"] == number
                ),
            )
            for number, turn in enumerate(turns)
        )
    )
