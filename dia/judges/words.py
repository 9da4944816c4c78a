"""Word error rate that knows of tags.

Both sides go through Whisper's English normaliser. Before that, speakers and tags leave the reference, and
spelled-out laughter ("ha ha ha") leaves both sides: whether it is written or only heard is the recogniser's
taste. After it, numbers that follow each other become one word, for "seven nine twelve" may come back as 7912
or as 7, 9, 12. A tag read aloud ("laughs") stays in, as the insertion it is, and is counted apart as well.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import jiwer

from dia.dialogue import Script
from dia.dialogue.tags import tag_spellings

# two syllables or more, joined or apart; a single one only where it is no other word ("he", "ho" and "aha"
# are)
LAUGHTER = re.compile(
    r"\b(?:(?:a?hah*|he+h*|ho+h*)(?:[\s,.!?-]+|(?=h)|\b)){2,}|\b(?:ha+h?|heh)\b", re.IGNORECASE
)
NUMBERS = re.compile(r"(?<=\d) (?=\d)")


@cache
def _normaliser() -> Any:
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


def normalisation() -> str:
    """Return the name and version of the normalisation; scores of different ones must not be compared."""
    return f"dia-words-2, whisper-normalizer {version('whisper-normalizer')}"


def reference_words(script: Script) -> list[str]:
    """Return the normalised words that a script asks for."""
    return _normalised(script.words())


def transcript_words(transcript: str) -> list[str]:
    """Return the normalised words of a transcript."""
    return _normalised(transcript)


def alignment_keys(text: str) -> list[str]:
    """Return a text's words one by one, without signs, so that "$20" is found in "twenty dollars"."""
    words = (re.sub(r"\W", "", piece) for word in text.split() for piece in _normalised(word))
    return [word for word in words if word]


def _normalised(text: str) -> list[str]:
    return NUMBERS.sub("", str(_normaliser()(LAUGHTER.sub(" ", text)))).split()


@dataclass(frozen=True)
class WordErrors:
    """Errors of one clip: substitutions, deletions and insertions together, and the reference words they are
    out of.
    """

    errors: int
    words: int
    spoken_tags: int
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def rate(self) -> float:
        """Errors per reference word; a script without words is judged as one word."""
        return self.errors / max(self.words, 1)


def word_errors(script: Script, transcript: str) -> WordErrors:
    """Compare a transcript with its script."""
    wanted, heard = reference_words(script), transcript_words(transcript)
    spoken = (_spoken_tags(heard) - _spoken_tags(wanted)).total()
    if not wanted:
        return WordErrors(len(heard), 0, spoken, insertions=len(heard))
    counted = jiwer.process_words(" ".join(wanted), " ".join(heard))
    parts = counted.substitutions, counted.deletions, counted.insertions
    return WordErrors(sum(parts), len(wanted), spoken, *parts)


def character_errors(script: Script, transcript: str) -> tuple[int, int]:
    """Return character errors, and the characters that a script asks for, both normalised as words are;
    spaces count.
    """
    wanted, heard = " ".join(reference_words(script)), " ".join(transcript_words(transcript))
    if not wanted:
        return len(heard), 0
    counted = jiwer.process_characters(wanted, heard)
    return counted.substitutions + counted.deletions + counted.insertions, len(wanted)


def count_spoken_names(names: list[str], script: Script, transcript: str) -> int:
    """Return how often one of ``names`` (of tags, known or not) is heard as words beyond what the script
    says.
    """
    spelled = {" ".join(_normalised(name)) for name in names} - {""}
    if not spelled:
        return 0
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(spelled, key=len, reverse=True)))})\b")
    heard, wanted = (
        len(pattern.findall(" ".join(words)))
        for words in (transcript_words(transcript), reference_words(script))
    )
    return max(0, heard - wanted)


@cache
def _tag_pattern() -> re.Pattern[str]:
    """Any spelling of any tag as the normaliser leaves it, longer ones first; those that are laughter leave
    nothing.
    """
    spellings = {" ".join(_normalised(spelling)) for spelling in tag_spellings()} - {""}
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(spellings, key=len, reverse=True)))})\b")


def _spoken_tags(words: list[str]) -> Counter[str]:
    """How often each spelling of a tag is among the words."""
    return Counter(_tag_pattern().findall(" ".join(words)))


def agreement(first: str, second: str) -> float:
    """Return the share (0..1) of words on which two transcripts agree: one less their errors by the longer
    one's words.
    """
    ours, theirs = transcript_words(first), transcript_words(second)
    if not ours or not theirs:
        return float(ours == theirs)
    counted = jiwer.process_words(" ".join(ours), " ".join(theirs))
    errors = counted.substitutions + counted.deletions + counted.insertions
    return max(0.0, 1 - errors / max(len(ours), len(theirs)))
