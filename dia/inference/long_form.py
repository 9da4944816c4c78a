"""Scripts of any length: split into pieces that fit one pass, generate them in one voice, join the audio.

After a voice a piece may begin with [S2]: the voice's transcript precedes it in the text that the model
reads.
"""

import re
from collections.abc import Iterable, Iterator

import numpy as np

from dia.dialogue.lint import CHARACTERS_PER_SECOND, SECONDS_PER_NONVERBAL
from dia.dialogue.script import SPEAKER, TAG, Script
from dia.dialogue.text import MAX_BYTES
from dia.errors import UserError
from dia.types import Waveform

BREAKS = (r"(?<=[.!?;:])\s+", r"(?<=,)\s+", r"\s+")  # after sentences, clauses, words
TAG_SPACE = "\ue000"  # replaces a space within a tag, where no break is allowed; from the private use area
EDGE = 0.05  # seconds of silence that remain around a piece
FADE = 0.005  # seconds over which a piece fades in and out
SILENT_SHARE = 0.01  # share of a piece's peak below which it counts as silent


def split_script(
    text: str, max_seconds: float, max_bytes: int = MAX_BYTES, exchanges: bool = False
) -> list[str]:
    """Return scripts with the same words in the same order, each within ``max_seconds`` and ``max_bytes``.

    Whole turns stay together as far as they fit. A turn that is too long is split after sentences, then
    clauses, then words, and its parts keep its speaker; a single word is never split. A speaker tag without
    words stays with what precedes it. With ``exchanges`` a script begins with the first speaker, wherever the
    answers to a turn fit behind it: models are trained on scripts that begin with [S1].

    Raises:
        UserError: When the text is no script.
    """
    try:
        script = Script.parse(text)
    except ValueError as error:
        raise UserError(str(error)) from error
    turns = [turn.render() for turn in script.turns]
    parts = [part for turn in turns for part in _split_turn(turn, max_seconds, max_bytes)]
    return _packed(_joined(parts, max_seconds, max_bytes) if exchanges else parts, max_seconds, max_bytes)


def _joined(parts: list[str], max_seconds: float, max_bytes: int) -> list[str]:
    """Join each turn of the first speaker with the answers to it, as far as they fit."""
    first, *following = parts
    speaker = first.partition(" ")[0]
    joined = [first]
    for part in following:
        answered = f"{joined[-1]} {part}"
        if part.startswith(speaker) or not _fits(answered, max_seconds, max_bytes):
            joined.append(part)
        else:
            joined[-1] = answered
    return joined


def speaking_pieces(pieces: list[str]) -> list[str]:
    """Return the pieces that have words or nonverbal sounds; all of them when none has."""
    speaking = [piece for piece in pieces if not all(turn.silent for turn in Script.parse(piece).turns)]
    return speaking or pieces


def _split_turn(turn: str, max_seconds: float, max_bytes: int) -> list[str]:
    """Return a rendered turn as one or more turns of the same speaker."""
    if _fits(turn, max_seconds, max_bytes):
        return [turn]
    speaker, _, words = turn.partition(" ")
    room = max_bytes - len(speaker) - 1
    pieces = [TAG.sub(lambda tag: tag[0].replace(" ", TAG_SPACE), words)]
    for pattern in BREAKS:
        pieces = [
            part
            for piece in pieces
            for part in ([piece] if _fits(piece, max_seconds, room) else re.split(pattern, piece))
        ]
    return [f"{speaker} {piece}".replace(TAG_SPACE, " ") for piece in _packed(pieces, max_seconds, room)]


def _packed(parts: list[str], max_seconds: float, max_bytes: int) -> list[str]:
    """Join neighbours into as few pieces as the limits allow, of lengths as even as possible."""
    seconds = [_seconds(part) for part in parts]
    fewest = _fill(parts, seconds, max_seconds, max_bytes)
    even = sum(seconds) / len(fewest) * 1.1  # above the mean, so that no short piece is left over
    spread = _fill(parts, seconds, min(max_seconds, even), max_bytes)
    return spread if len(spread) == len(fewest) else fewest


def _fill(parts: list[str], seconds: list[float], max_seconds: float, max_bytes: int) -> list[str]:
    groups: list[list[str]] = []
    used_seconds = float("inf")
    used_bytes = 0
    for part, length in zip(parts, seconds, strict=True):
        more_seconds = length + 1 / CHARACTERS_PER_SECOND
        more_bytes = 1 + _size(part)
        too_long = used_seconds + more_seconds > max_seconds and not (groups and SPEAKER.fullmatch(part))
        if too_long or used_bytes + more_bytes > max_bytes:
            groups.append([part])
            used_seconds = length
            used_bytes = _size(part)
        else:
            groups[-1].append(part)
            used_seconds += more_seconds
            used_bytes += more_bytes
    return [" ".join(group) for group in groups]


def _fits(text: str, max_seconds: float, max_bytes: int) -> bool:
    return _seconds(text) <= max_seconds and _size(text) <= max_bytes


def _size(text: str) -> int:
    return len(text.encode("utf-8", errors="replace"))


def _seconds(text: str) -> float:
    """Return the estimated duration, by the linter's measure but with speaker tags counted as words."""
    tags = TAG.findall(text)
    characters = len(text) - sum(len(tag) + 2 for tag in tags)
    return characters / CHARACTERS_PER_SECOND + len(tags) * SECONDS_PER_NONVERBAL


def join_waveforms(
    waveforms: Iterable[Waveform], sample_rate: int, pause: float = 0.25
) -> Iterator[Waveform]:
    """Yield pieces of audio with ``pause`` seconds of silence between them; one piece is in memory at a time.

    Silence around a piece is trimmed to 50 ms, and the piece fades in and out over 5 ms to avoid clicks.
    """
    first = True
    for waveform in waveforms:
        piece = edged(waveform, sample_rate)
        if not len(piece):
            continue
        if not first:
            yield silence(pause, sample_rate)
        first = False
        yield piece


def edged(waveform: Waveform, sample_rate: int) -> Waveform:
    """Return a piece with 50 ms of silence around it at most, and faded ends; an empty one for silence."""
    return faded(trimmed(waveform, sample_rate), sample_rate)


def silence(seconds: float, sample_rate: int) -> Waveform:
    """Return silence."""
    return np.zeros(round(seconds * sample_rate), dtype=np.float32)


def trimmed(waveform: Waveform, sample_rate: int) -> Waveform:
    """Return a waveform with at most 50 ms of silence before and after it; an empty one for silence."""
    loud = np.flatnonzero(np.abs(waveform) > SILENT_SHARE * np.abs(waveform).max(initial=0.0))
    if not len(loud):
        return waveform[:0]
    edge = round(EDGE * sample_rate)
    return waveform[max(0, loud[0] - edge) : loud[-1] + 1 + edge]


def faded(waveform: Waveform, sample_rate: int) -> Waveform:
    """Return a waveform that begins and ends at zero, by raised cosines of 5 ms."""
    length = min(round(FADE * sample_rate), len(waveform) // 2)
    slope = (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(length, 1))).astype(np.float32)
    result = waveform.copy()
    result[:length] *= slope
    result[len(result) - length :] *= slope[::-1]
    return result
