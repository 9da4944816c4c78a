"""Detect events in scores over time, and place each of them among the words of the script.

The grid is WESR's (Cr-Fish/WESR): slot n lies after n words of the script. An event lies at the middle of its
best window. The detector's windows are .975 s long, about two words, so hits at a distance of 0 words are
beyond its resolution.

The speaker of a sound follows from the pauses around it: people laugh in their own turn, so of two
neighbouring words the sound belongs to the one with the shorter silence between. The middle of a window
cannot resolve that between turns a tenth of a second apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

REACH = 0.49  # seconds from the middle of a window to its end
SHARE = 0.5  # of the shorter of a word and a run of sound, above which the word lies in the run
Word = tuple[float, float, int]  # start and end in seconds, number of its turn


@dataclass(frozen=True)
class Event:
    """One sound: its tag, the middle of its best window in seconds, its slot, and its speaker.

    Slot and speaker are None where no word of the script was located in the clip.
    """

    tag: str
    middle: float
    slot: int | None
    speaker: int | None


def events_of(values: dict[str, Any], tag: str, threshold: float) -> list[Event]:
    """Return the events of a tag in a clip's values (`nonverbals.py`): runs above the threshold."""
    scores = values["scores"].get(tag, [])
    events = []
    for is_event, run in groupby(enumerate(scores), key=lambda item: item[1] >= threshold):
        if is_event:
            best, _ = max(run, key=lambda item: item[1])
            middle = values["first"] + best * values["hop"]
            events.append(Event(tag, middle, slot_at(middle, values["words"]), speaker_at(middle, values)))
    return events


def slot_at(middle: float, words: Sequence[Sequence[float] | None]) -> int | None:
    """Return how many words lie before a time, None where no word has times.

    A word without times counts as the next word with times before it.
    """
    if all(times is None for times in words):
        return None
    before = [place for place, times in enumerate(words) if times is not None and sum(times) / 2 < middle]
    return before[-1] + 1 if before else 0


def slot_errors(events: Sequence[Event], tags: Sequence[dict[str, Any]]) -> list[int]:
    """Return the words from the nearest tag's slot to each event that has a slot, negative before it."""
    slots = [item["slot"] for item in tags]
    placed = [event.slot for event in events if event.slot is not None]
    return [min((place - slot for slot in slots), key=abs) for place in placed] if slots else []


def speaker_at(middle: float, values: dict[str, Any]) -> int | None:
    """Return the speaker of the sound at a time, None where no word has times.

    The nearest stretch without words, within half a window, belongs to the speaker of the word with the
    shorter pause between. Without such a stretch the nearest word decides.
    """
    words = [
        (*times, turn)
        for times, turn in zip(values["words"], values["word_turns"], strict=True)
        if times is not None
    ]
    if not words:
        return None
    turn = _turn_of_stretch(middle, words, values["pauses"], values["seconds"])
    if turn is None:
        turn = min(words, key=lambda word: _distance(middle, word[0], word[1]))[2]
    speaker: int = values["speakers"][turn]
    return speaker


def _turn_of_stretch(
    middle: float, words: Sequence[Word], pauses: Sequence[Sequence[float]], seconds: float
) -> int | None:
    """Return the turn of the stretch without words around a time, or None."""
    edges = [0.0, *(edge for pause in pauses for edge in pause), seconds]
    runs = [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if end > start]
    owners = [_owners(run, words) for run in runs]
    stretches = [
        [place for place, _ in group]
        for wordless, group in groupby(enumerate(owners), key=lambda item: not item[1])
        if wordless
    ]
    near = [part for part in stretches if _distance(middle, runs[part[0]][0], runs[part[-1]][1]) <= REACH]
    if not near:
        return None
    part = min(near, key=lambda part: _distance(middle, runs[part[0]][0], runs[part[-1]][1]))
    sides = []  # (silence between, turn)
    if part[0] > 0:
        sides.append((runs[part[0]][0] - runs[part[0] - 1][1], owners[part[0] - 1][-1]))
    if part[-1] + 1 < len(runs):
        sides.append((runs[part[-1] + 1][0] - runs[part[-1]][1], owners[part[-1] + 1][0]))
    return min(sides)[1] if sides else None


def _owners(run: tuple[float, float], words: Sequence[Word]) -> list[int]:
    """Return the turns of the words in a run of sound, in order."""
    begin, stop = run
    return [
        turn
        for start, end, turn in words
        if min(end, stop) - max(start, begin) > SHARE * min(end - start, stop - begin)
    ]


def _distance(time: float, start: float, end: float) -> float:
    return max(start - time, time - end, 0.0)
