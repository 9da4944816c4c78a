"""Segmentation of a conversation into dialogue clips of a length suitable for training.

Consecutive turns are joined to clips of 5 to 20 s, at most 35 s, with at most two speakers, who become [S1]
and [S2] in order of appearance. Used for conversations of a corpus and for turns detected in a recording.
"""

from dataclasses import dataclass, replace

from dia.config.data import DialogueLimits
from dia.data.clip import LabelledNonverbal, LabelledTurn


@dataclass(frozen=True)
class TimedTurn:
    """A turn of a recording, whose ``turn.start``, ``turn.end`` and ``turn.voice`` are set."""

    turn: LabelledTurn
    nonverbals: tuple[LabelledNonverbal, ...] = ()

    @property
    def start(self) -> float:
        """Start in seconds of the recording."""
        return self.turn.start or 0.0

    @property
    def end(self) -> float:
        """End in seconds of the recording."""
        return self.turn.end or 0.0


def group_turns(turns: list[TimedTurn], limits: DialogueLimits) -> list[list[TimedTurn]]:
    """Return groups of consecutive turns of at most ``limits.wanted`` seconds, unless one turn is longer."""
    groups: list[list[TimedTurn]] = []
    for turn in turns:
        if groups and _fits(groups[-1], turn, limits):
            groups[-1].append(turn)
        else:
            groups.append([turn])
    return groups


def _fits(group: list[TimedTurn], turn: TimedTurn, limits: DialogueLimits) -> bool:
    voices = {item.turn.voice for item in (*group, turn)}
    return (
        turn.end - group[0].start <= limits.wanted
        and turn.start - group[-1].end <= limits.pause
        and len(voices) <= limits.speakers
    )


def dialogue_of(
    group: list[TimedTurn], begin: float
) -> tuple[tuple[LabelledTurn, ...], tuple[LabelledNonverbal, ...]]:
    """Return turns and nonverbals with times relative to ``begin`` and speakers numbered by appearance.

    Consecutive turns of one speaker are merged, because speakers alternate in a script.
    """
    numbers: dict[str, int] = {}
    turns: list[LabelledTurn] = []
    nonverbals: list[LabelledNonverbal] = []
    for item in group:
        speaker = numbers.setdefault(item.turn.voice, len(numbers) + 1)
        moved = replace(item.turn, speaker=speaker, start=item.start - begin, end=item.end - begin)
        offset = 0
        if turns and turns[-1].speaker == speaker:
            offset = len(turns[-1].text) + 1 if turns[-1].text and moved.text else len(turns[-1].text)
            turns[-1] = _joined(turns[-1], moved)
        else:
            turns.append(moved)
        nonverbals += [_moved(sound, len(turns) - 1, offset, begin) for sound in item.nonverbals]
    return tuple(turns), tuple(nonverbals)


def _joined(first: LabelledTurn, second: LabelledTurn) -> LabelledTurn:
    """Two turns of the same speaker as one; its emotions are unknown unless both have the same."""
    emotions = first.emotions if first.emotions == second.emotions else ()
    return replace(first, text=f"{first.text} {second.text}".strip(), end=second.end, emotions=emotions)


def _moved(sound: LabelledNonverbal, turn: int, offset: int, begin: float) -> LabelledNonverbal:
    def moved(time: float | None) -> float | None:
        return None if time is None else time - begin

    return replace(sound, turn=turn, char=sound.char + offset, start=moved(sound.start), end=moved(sound.end))
