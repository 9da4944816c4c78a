"""Marks of sounds in a source's text, such as ``[laughing]`` or an emoji, turned into nonverbals between the
words.
"""

import re

from dia.data.source import Tally
from dia.data.sources.declaration import Marks
from dia.dialogue import Script, Turn

BRACKETS = re.compile(r"[()\[\]]")
SPACES = re.compile(r"\s+")
EXACT = re.compile(r"\s+([,.;:!?])")


class DropClip(Exception):
    """The clip cannot be used; the message is the reason."""


def tag_of(label: str, marks: Marks, unknown: str, tally: Tally, kind: str = "nonverbals") -> str | None:
    """Return the tag of a source's label, None when the mark is only taken out. Raises :class:`DropClip`.

    What becomes of a label without a mapping is ``unknown``: `raise` counts it as unknown and takes it out.
    """
    if label not in marks.tags and label.lower() in marks.tags:
        label = label.lower()
    if label in marks.tags:
        tally.counts[f"{kind}: {label} -> ({marks.tags[label]})"] += 1
        return marks.tags[label]
    if label in marks.drop:
        tally.counts[f"{kind}: {label} taken out, {marks.drop[label]}"] += 1
        return None
    if label in marks.drop_clip:
        raise DropClip(f"{label}: {marks.drop_clip[label]}")
    if unknown == "raise":
        tally.unknown[label] += 1
    elif unknown == "drop_clip":
        raise DropClip(f"{label} has no mapping")
    else:
        tally.counts[f"{kind}: {label} taken out, no mapping"] += 1
    return None


def turn_of(text: str, speaker: int, marks: Marks, unknown: str, tally: Tally) -> Turn:
    """Return the words and nonverbals of a source's text. Raises :class:`DropClip`.

    Brackets that are no marks would read as tags or speakers, so they go; what stands in them stays.
    """
    for pattern in marks.strip:
        text = re.sub(pattern, " ", text)
    out, done = "", 0
    for mark in re.finditer(marks.pattern, text) if marks.pattern else ():
        label = mark.group(1) if mark.re.groups else mark.group()
        tag = tag_of(label, marks, unknown, tally)
        out += BRACKETS.sub("", text[done : mark.start()]) + (f" ({tag}) " if tag else " ")
        done = mark.end()
    out += BRACKETS.sub("", text[done:])
    words = EXACT.sub(r"\1", SPACES.sub(" ", out)).strip()
    return Script.parse(f"[S{speaker}] {words}").turns[0] if words else Turn(speaker, "")
