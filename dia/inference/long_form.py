"""Scripts of any length: cut at turns into pieces that one pass can say, spoken in one voice, joined without
a click.

Pieces of a later turn may begin with [S2]: what stands before them in the model's text is the voice's
transcript.
"""

import re
from collections.abc import Iterable, Iterator

import numpy as np

from dia.dialogue.lint import CHARACTERS_PER_SECOND, SECONDS_PER_NONVERBAL
from dia.dialogue.script import TAG, Script
from dia.dialogue.text import MAX_BYTES
from dia.errors import UserError
from dia.types import Waveform

BREAKS = (r"(?<=[.!?;:])\s+", r"(?<=,)\s+", r"\s+")  # sentences, clauses, words
STAND_IN = "\ue000"  # for a space within a tag, where nothing may be cut; of the private use area
EDGE = 0.05  # seconds of quiet that stay around a piece
FADE = 0.005  # seconds over which a piece comes and goes
QUIET = 0.01  # share of a piece's peak that counts as silence


def cut(text: str, longest_seconds: float, most_bytes: int = MAX_BYTES) -> list[str]:
    """Return scripts that say the same words in the same order, each of at most ``longest_seconds`` and
    ``most_bytes``.

    Whole turns stay together as far as they fit; one that is too long is cut at sentences, then clauses, then
    words, and its parts keep its speaker. A single word is never cut. Raises :class:`UserError` when the text
    is no script.
    """
    try:
        script = Script.parse(text)
    except ValueError as error:
        raise UserError(str(error)) from error
    turns = [turn.render() for turn in script.turns]
    parts = [part for turn in turns for part in _cut_turn(turn, longest_seconds, most_bytes)]
    return _packed(parts, longest_seconds, most_bytes)


def _cut_turn(turn: str, longest_seconds: float, most_bytes: int) -> list[str]:
    """A rendered turn as one or more turns of the same speaker."""
    if _fits(turn, longest_seconds, most_bytes):
        return [turn]
    speaker, _, words = turn.partition(" ")
    room = most_bytes - len(speaker) - 1
    pieces = [TAG.sub(lambda tag: tag[0].replace(" ", STAND_IN), words)]
    for pattern in BREAKS:
        pieces = [
            finer
            for piece in pieces
            for finer in (re.split(pattern, piece) if not _fits(piece, longest_seconds, room) else [piece])
        ]
    return [f"{speaker} {piece}".replace(STAND_IN, " ") for piece in _packed(pieces, longest_seconds, room)]


def _packed(parts: list[str], longest_seconds: float, most_bytes: int) -> list[str]:
    """Join neighbours as evenly as the limits allow: as few pieces as filling them up would give, none of
    them tiny.
    """
    seconds = [_seconds(part) for part in parts]
    least = _fill(parts, seconds, longest_seconds, most_bytes)
    even = (
        sum(seconds) / len(least) * 1.1
    )  # a little more than the mean, so that the last piece is not left over
    spread = _fill(parts, seconds, min(longest_seconds, even), most_bytes)
    return spread if len(spread) == len(least) else least


def _fill(parts: list[str], seconds: list[float], longest_seconds: float, most_bytes: int) -> list[str]:
    groups: list[list[str]] = []
    used, size = float("inf"), 0
    for part, length in zip(parts, seconds, strict=True):
        more_seconds, more_bytes = length + 1 / CHARACTERS_PER_SECOND, 1 + _size(part)
        if used + more_seconds > longest_seconds or size + more_bytes > most_bytes:
            groups.append([part])
            used, size = length, _size(part)
        else:
            groups[-1].append(part)
            used, size = used + more_seconds, size + more_bytes
    return [" ".join(group) for group in groups]


def _fits(text: str, longest_seconds: float, most_bytes: int) -> bool:
    return _seconds(text) <= longest_seconds and _size(text) <= most_bytes


def _size(text: str) -> int:
    return len(text.encode("utf-8", errors="replace"))


def _seconds(text: str) -> float:
    """About how long a piece of a script takes to say, by the lint's measure; a little more, as speakers
    count as words.
    """
    tags = TAG.findall(text)
    return (len(text) - sum(len(tag) + 2 for tag in tags)) / CHARACTERS_PER_SECOND + len(
        tags
    ) * SECONDS_PER_NONVERBAL


def join(waveforms: Iterable[Waveform], sample_rate: int, pause: float = 0.25) -> Iterator[Waveform]:
    """Yield the pieces' sound one after another, ``pause`` seconds of silence between: one piece is in memory
    at a time.

    Silence around a piece is cut to 50 ms, and it fades in and out over 5 ms, so that there is no click.
    """
    first = True
    for waveform in waveforms:
        piece = faded(trimmed(waveform, sample_rate), sample_rate)
        if not len(piece):
            continue
        if not first:
            yield np.zeros(round(pause * sample_rate), dtype=np.float32)
        first = False
        yield piece


def trimmed(waveform: Waveform, sample_rate: int) -> Waveform:
    """Return a waveform without the silence before and after it, but for 50 ms; nothing of one that is all
    silence.
    """
    loud = np.flatnonzero(np.abs(waveform) > QUIET * np.abs(waveform).max(initial=0.0))
    if not len(loud):
        return waveform[:0]
    edge = round(EDGE * sample_rate)
    return waveform[max(0, loud[0] - edge) : loud[-1] + 1 + edge]


def faded(waveform: Waveform, sample_rate: int) -> Waveform:
    """Return a waveform that begins and ends in zero, by raised cosines of 5 ms."""
    length = min(round(FADE * sample_rate), len(waveform) // 2)
    slope = (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(length, 1))).astype(np.float32)
    made = waveform.copy()
    made[:length] *= slope
    made[len(made) - length :] *= slope[::-1]
    return made
