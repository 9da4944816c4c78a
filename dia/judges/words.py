"""Word and character errors between a script and a transcript, with handling of tags.

Both sides are normalised by Whisper's English normaliser. Before that, speakers and tags are removed from the
reference, and spelled-out laughter ("ha ha ha") from both sides, because recognisers differ in transcribing
it. After it, consecutive numbers are joined, because "seven nine twelve" may be transcribed as 7912 or as 7,
9, 12. A tag that is read aloud ("laughs") counts as an insertion and is also counted separately.
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

# Two syllables or more, joined or separate; a single one only if it is not another word ("he", "ho", "aha").
LAUGHTER = re.compile(
    r"\b(?:(?:a?hah*|he+h*|ho+h*)(?:[\s,.!?-]+|(?=h)|\b)){2,}|\b(?:ha+h?|heh)\b", re.IGNORECASE
)
NUMBERS = re.compile(r"(?<=\d) (?=\d)")


@cache
def _normaliser() -> Any:
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


def normalisation() -> str:
    """Return the version of the normalisation; scores of different versions are not comparable."""
    return f"dia-words-2, whisper-normalizer {version('whisper-normalizer')}"


def reference_words(script: Script) -> list[str]:
    """Return the normalised words of a script."""
    return _normalised(script.words())


def transcript_words(transcript: str) -> list[str]:
    """Return the normalised words of a transcript."""
    return _normalised(transcript)


def alignment_keys(text: str) -> list[str]:
    """Return a text's normalised words without signs, so that "$20" matches "twenty dollars"."""
    words = (re.sub(r"\W", "", piece) for word in text.split() for piece in _normalised(word))
    return [word for word in words if word]


def _normalised(text: str) -> list[str]:
    return NUMBERS.sub("", str(_normaliser()(LAUGHTER.sub(" ", text)))).split()


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


def word_errors(script: Script, transcript: str) -> WordErrors:
    """Compare a transcript with its script."""
    reference, hypothesis = reference_words(script), transcript_words(transcript)
    spoken_tags = (_count_tags(hypothesis) - _count_tags(reference)).total()
    if not reference:
        return WordErrors(len(hypothesis), 0, spoken_tags, insertions=len(hypothesis))
    counts = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    errors = counts.substitutions, counts.deletions, counts.insertions
    return WordErrors(sum(errors), len(reference), spoken_tags, *errors)


def character_errors(script: Script, transcript: str) -> tuple[int, int]:
    """Return the character errors and the number of reference characters, normalised, with spaces."""
    reference, hypothesis = " ".join(reference_words(script)), " ".join(transcript_words(transcript))
    if not reference:
        return len(hypothesis), 0
    counts = jiwer.process_characters(reference, hypothesis)
    return counts.substitutions + counts.deletions + counts.insertions, len(reference)


def count_spoken_names(names: list[str], script: Script, transcript: str) -> int:
    """Return how often ``names`` of tags are transcribed beyond their occurrences in the script."""
    spelled = {" ".join(_normalised(name)) for name in names} - {""}
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
    spellings = {" ".join(_normalised(spelling)) for spelling in tag_spellings()} - {""}
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(spellings, key=len, reverse=True)))})\b")


def _count_tags(words: list[str]) -> Counter[str]:
    """Occurrences of each spelling of a tag."""
    return Counter(_tag_pattern().findall(" ".join(words)))


def agreement(first: str, second: str) -> float:
    """Return the agreement of two transcripts (0..1): 1 - word errors / words of the longer transcript."""
    first_words, second_words = transcript_words(first), transcript_words(second)
    if not first_words or not second_words:
        return float(first_words == second_words)
    counts = jiwer.process_words(" ".join(first_words), " ".join(second_words))
    errors = counts.substitutions + counts.deletions + counts.insertions
    return max(0.0, 1 - errors / max(len(first_words), len(second_words)))
