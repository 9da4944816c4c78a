"""Convert marks in a corpus text, such as ``[laughing]`` or an emoji, to nonverbals between the words."""

import re

from dia.data.source import Tally
from dia.data.sources import patterns
from dia.data.sources.declaration import Marks
from dia.dialogue import Script, Turn
from dia.errors import UserError

BRACKETS = re.compile(r"[()\[\]]")
SPACES = re.compile(r"\s+")
SPACE_BEFORE_PUNCTUATION = re.compile(r"\s+([,.;:!?])")
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
INVISIBLE = re.compile(r"[\u00ad\u200b\ufeff]")  # soft hyphen, zero width space, byte order mark
WINDOWS_1252 = re.compile(r"[\x80-\x9f]")


class DropClip(Exception):
    """The clip cannot be used; the message is the reason."""


def tag_of(label: str, marks: Marks, unknown: str, tally: Tally, kind: str = "nonverbals") -> str | None:
    """Return the tag of a label, None if the mark is removed from the text. Raises :class:`DropClip`.

    ``unknown`` is the policy for labels without a mapping; `raise` records them in ``tally.unknown``, which
    fails the shard after all unknown labels are collected.
    """
    if label not in marks.tags:
        label = next((known for known in marks.tags if known.casefold() == label.casefold()), label)
    if label in marks.tags:
        tally.counts[f"{kind}: {label} -> ({marks.tags[label]})"] += 1
        return marks.tags[label]
    if label in marks.drop:
        tally.counts[f"{kind}: {label} removed, {marks.drop[label]}"] += 1
        return None
    if label in marks.drop_clip:
        raise DropClip(f"{label}: {marks.drop_clip[label]}")
    if unknown == "raise":
        tally.unknown[label] += 1
    elif unknown == "drop_clip":
        raise DropClip(f"{label} has no mapping")
    else:
        tally.counts[f"{kind}: {label} removed, no mapping"] += 1
    return None


def clean_text(text: str) -> str:
    """Return a text without control characters, some of which mean padding and speakers to the model.

    Windows-1252 punctuation that another tool took for Latin-1 is restored (MELD has such apostrophes).
    Raises :class:`UserError` for a lone surrogate, which no file can store.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"the text has a lone surrogate at character {error.start}; remove it") from error
    text = WINDOWS_1252.sub(lambda mark: mark.group().encode("latin-1").decode("cp1252", "ignore"), text)
    return CONTROLS.sub(" ", INVISIBLE.sub("", text))


def turn_of(text: str, speaker: int, marks: Marks, unknown: str, tally: Tally) -> Turn:
    """Return the words and nonverbals of a text. Raises :class:`DropClip`.

    Other brackets are removed but not their content, because they would read as tags or speakers.
    """
    for pattern in marks.strip:
        text = patterns.remove(pattern, text)
    out = ""
    done = 0
    for mark in patterns.finditer(marks.pattern, text) if marks.pattern else ():
        label = mark.group(1) if mark.re.groups else mark.group()
        tag = tag_of(label, marks, unknown, tally)
        out += BRACKETS.sub("", text[done : mark.start()]) + (f" ({tag}) " if tag else " ")
        done = mark.end()
    out += BRACKETS.sub("", text[done:])
    words = SPACE_BEFORE_PUNCTUATION.sub(r"\1", SPACES.sub(" ", out)).strip()
    return Script.parse(f"[S{speaker}] {words}").turns[0] if words else Turn(speaker, "")
