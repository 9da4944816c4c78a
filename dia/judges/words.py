"""Word and character errors between a script and a transcript, with handling of tags.

Both sides are normalised (`normalisation/`), and the transcript takes over the borders of words that are only
written together or apart. Speakers and tags are removed from the reference. A tag that is read aloud
("laughs") counts as an insertion and is also counted separately.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import jiwer

from dia.dialogue import Script
from dia.dialogue.tags import tag_spellings
from dia.judges.normalisation import normalise, separator
from dia.judges.normalisation.compounds import with_reference_borders
from dia.judges.recording import ENGLISH


def reference_words(script: Script, language: str = ENGLISH) -> list[str]:
    """Return the normalised words of a script."""
    return list(normalise(script.words(), language))


def transcript_words(transcript: str, language: str = ENGLISH) -> list[str]:
    """Return the normalised words of a transcript."""
    return list(normalise(transcript, language))


def alignment_keys(text: str, language: str = ENGLISH) -> list[str]:
    """Return the normalised words of a text, each word of the text by itself."""
    return [key for word in text.split() for key in normalise(word, language)]


@dataclass(frozen=True)
class WordErrors:
    """Word errors of one clip (the sum of substitutions, deletions, insertions) and its reference words."""

    errors: int
    words: int
    spoken_tags: int
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def rate(self) -> float:
        """Errors per reference word; a script without words counts as one word."""
        return self.errors / max(self.words, 1)


def word_errors(script: Script, transcript: str, language: str = ENGLISH) -> WordErrors:
    """Compare a transcript with its script."""
    reference, hypothesis = reference_words(script, language), transcript_words(transcript, language)
    spoken_tags = (_count_tags(hypothesis) - _count_tags(reference)).total()
    substitutions, deletions, insertions = _count_errors(reference, hypothesis)
    errors = substitutions + deletions + insertions
    return WordErrors(errors, len(reference), spoken_tags, substitutions, deletions, insertions)


def character_errors(script: Script, transcript: str, language: str = ENGLISH) -> tuple[int, int]:
    """Return the character errors and the number of reference characters, normalised, with spaces."""
    words = reference_words(script, language)
    adapted = with_reference_borders(words, transcript_words(transcript, language))
    reference, hypothesis = (separator(language).join(side) for side in (words, adapted))
    if not reference:
        return len(hypothesis), 0
    counts = jiwer.process_characters(reference, hypothesis)
    return counts.substitutions + counts.deletions + counts.insertions, len(reference)


def count_spoken_names(names: list[str], script: Script, transcript: str) -> int:
    """Return how often ``names`` of tags are transcribed beyond their occurrences in the script."""
    spelled = {" ".join(normalise(name)) for name in names} - {""}
    if not spelled:
        return 0
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(spelled, key=len, reverse=True)))})\b")
    transcribed, expected = (
        len(pattern.findall(" ".join(words)))
        for words in (transcript_words(transcript), reference_words(script))
    )
    return max(0, transcribed - expected)


@cache
def _tag_pattern() -> re.Pattern[str]:
    """A pattern of all normalised spellings of tags, longest first."""
    spellings = {" ".join(normalise(spelling)) for spelling in tag_spellings()} - {""}
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(spellings, key=len, reverse=True)))})\b")


def _count_tags(words: list[str]) -> Counter[str]:
    """Occurrences of each spelling of a tag."""
    return Counter(_tag_pattern().findall(" ".join(words)))


def disagreement(first: str, second: str, language: str = ENGLISH) -> tuple[int, int]:
    """Return the word errors between two transcripts, and the words of the longer one."""
    one, other = transcript_words(first, language), transcript_words(second, language)
    return sum(_count_errors(one, other)), max(len(one), len(other))


def agreement(first: str, second: str) -> float:
    """Return the agreement of two transcripts (0..1): 1 - word errors / words of the longer transcript."""
    errors, words = disagreement(first, second)
    return max(0.0, 1 - errors / words) if words else 1.0


def _count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[int, int, int]:
    """Return substitutions, deletions and insertions."""
    if not reference:
        return 0, 0, len(hypothesis)
    adapted = with_reference_borders(reference, hypothesis)
    counts = jiwer.process_words(" ".join(reference), " ".join(adapted))
    return counts.substitutions, counts.deletions, counts.insertions
