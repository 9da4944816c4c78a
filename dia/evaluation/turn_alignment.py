"""Where each word and turn of a script lies in a recording whose times nobody knows.

Two aligners: by the recognised words that match the script's (Whisper's times, offline), or by a CTC model
that is told the script (`dia/judges/ctc.py`). Which one it was stands in the provenance of what rests on it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import jiwer

from dia.dialogue import Script
from dia.judges.recording import Times
from dia.judges.transcription import RecognisedWord
from dia.judges.words import alignment_keys


@dataclass(frozen=True)
class ScriptWord:
    """A word of a script: the number of its turn, the character of the turn's text it begins at, its times
    where found.
    """

    turn: int
    char: int
    text: str
    times: Times | None = None


def script_words(script: Script) -> list[ScriptWord]:
    """Return the words of a script in order, without times; tags are no words."""
    return [
        ScriptWord(number, found.start(), found.group())
        for number, turn in enumerate(script.turns)
        for found in re.finditer(r"\S*\w\S*", turn.text)
    ]


def match_words(script: Script, heard: Sequence[RecognisedWord]) -> list[ScriptWord]:
    """Return the words of a script, those that were recognised with their times in seconds."""
    words = script_words(script)
    wanted = [(place, key) for place, word in enumerate(words) for key in alignment_keys(word.text)]
    found = [(word, key) for word in heard for key in alignment_keys(word.text)]
    if not wanted or not found:
        return words
    aligned = jiwer.process_words(" ".join(key for _, key in wanted), " ".join(key for _, key in found))
    for chunk in aligned.alignments[0]:
        if chunk.type != "equal":
            continue
        pairs = zip(
            range(chunk.ref_start_idx, chunk.ref_end_idx),
            range(chunk.hyp_start_idx, chunk.hyp_end_idx),
            strict=True,
        )
        for reference, hypothesis in pairs:
            place, word = wanted[reference][0], found[hypothesis][0]
            words[place] = replace(words[place], times=_widened(words[place].times, (word.start, word.end)))
    return words


def turns_of(words: Sequence[ScriptWord], turns: int) -> list[Times | None]:
    """Return (start, end) of each turn in seconds, from its first to its last word with times; None where
    none has.
    """
    times: list[Times | None] = [None] * turns
    for word in words:
        if word.times is not None:
            times[word.turn] = _widened(times[word.turn], word.times)
    return times


def find_turns(script: Script, heard: Sequence[RecognisedWord]) -> list[Times | None]:
    """Return (start, end) of each turn in seconds, None for a turn of which no word was recognised."""
    return turns_of(match_words(script, heard), len(script.turns))


def _widened(known: Times | None, times: Times) -> Times:
    return times if known is None else (min(known[0], times[0]), max(known[1], times[1]))
