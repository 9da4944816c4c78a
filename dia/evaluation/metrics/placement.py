"""Events from scores over time, and where among the script's words each of them lies.

The grid is WESR's (Cr-Fish/WESR): slot n lies behind n words of the script. An event's place is the middle of its best window;
the detector's windows are .975 s long, about two words, so hits at 0 words ask for more than it can tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any


@dataclass(frozen=True)
class Event:
    """One sound: its tag, the middle of its best window in seconds, its slot, and the speaker whose word is nearest in time.

    Slot and speaker are None where no word of the script was found in the clip.
    """

    tag: str
    middle: float
    slot: int | None
    speaker: int | None


def events_of(values: dict[str, Any], tag: str, threshold: float) -> list[Event]:
    """Return the events of a tag in a clip's values (`nonverbals.py`): runs of windows whose score reaches the threshold."""
    scores = values["scores"].get(tag, [])
    found = []
    for heard, run in groupby(enumerate(scores), key=lambda item: item[1] >= threshold):
        if heard:
            best, _ = max(run, key=lambda item: item[1])
            middle = values["first"] + best * values["hop"]
            found.append(Event(tag, middle, slot_at(middle, values["words"]), _speaker_at(middle, values)))
    return found


def slot_at(middle: float, words: Sequence[Sequence[float] | None]) -> int | None:
    """Return how many words lie before a time; words without times lie where their neighbours do. None where none has times."""
    if all(times is None for times in words):
        return None
    before = [place for place, times in enumerate(words) if times is not None and sum(times) / 2 < middle]
    return before[-1] + 1 if before else 0


def slot_errors(events: Sequence[Event], asked: Sequence[dict[str, Any]]) -> list[int]:
    """Return of each event the words it lies behind (+) or before (-) the nearest asked slot of its tag; none are left out."""
    slots = [item["slot"] for item in asked]
    placed = [event.slot for event in events if event.slot is not None]
    return [min((slot - wanted for wanted in slots), key=abs) for slot in placed] if slots else []


def _speaker_at(middle: float, values: dict[str, Any]) -> int | None:
    pairs = [(times, turn) for times, turn in zip(values["words"], values["word_turns"], strict=True) if times is not None]
    if not pairs:
        return None
    _, turn = min(pairs, key=lambda pair: max(pair[0][0] - middle, middle - pair[0][1], 0.0))
    speaker: int = values["speakers"][turn]
    return speaker
