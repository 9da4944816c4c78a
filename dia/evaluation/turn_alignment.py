"""Locate the words and turns of a script in a recording without known times.

There are two aligners: matching the recognised words with the script's (times by Whisper, works offline), or
forced alignment by a CTC model (`dia/judges/ctc.py`). The provenance of a metric names the one it used.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import jiwer

from dia.dialogue import Script
from dia.judges.recording import ENGLISH, Times
from dia.judges.transcription import RecognisedWord
from dia.judges.words import alignment_keys


@dataclass(frozen=True)
class ScriptWord:
    """A word of a script: the number of its turn, its first character there, its times where located."""

    turn: int
    char: int
    text: str
    times: Times | None = None


def script_words(script: Script) -> list[ScriptWord]:
    """Return the words of a script in order, without times and without tags."""
    return [
        ScriptWord(number, match.start(), match.group())
        for number, turn in enumerate(script.turns)
        for match in re.finditer(r"\S*\w\S*", turn.text)
    ]


def match_words(
    script: Script, recognised: Sequence[RecognisedWord], language: str = ENGLISH
) -> list[ScriptWord]:
    """Return the words of a script; those that were recognised have times in seconds."""
    words = script_words(script)
    reference = [
        (place, key) for place, word in enumerate(words) for key in alignment_keys(word.text, language)
    ]
    hypothesis = [(word, key) for word in recognised for key in alignment_keys(word.text, language)]
    if not reference or not hypothesis:
        return words
    aligned = jiwer.process_words(
        " ".join(key for _, key in reference), " ".join(key for _, key in hypothesis)
    )
    for chunk in aligned.alignments[0]:
        if chunk.type != "equal":
            continue
        pairs = zip(
            range(chunk.ref_start_idx, chunk.ref_end_idx),
            range(chunk.hyp_start_idx, chunk.hyp_end_idx),
            strict=True,
        )
        for in_reference, in_hypothesis in pairs:
            place, word = reference[in_reference][0], hypothesis[in_hypothesis][0]
            words[place] = replace(words[place], times=_union(words[place].times, (word.start, word.end)))
    return words


def times_of_turns(words: Sequence[ScriptWord], turns: int) -> list[Times | None]:
    """Return (start, end) of each turn in seconds, from its first to its last located word, or None."""
    times: list[Times | None] = [None] * turns
    for word in words:
        if word.times is not None:
            times[word.turn] = _union(times[word.turn], word.times)
    return times


def _union(known: Times | None, times: Times) -> Times:
    return times if known is None else (min(known[0], times[0]), max(known[1], times[1]))
