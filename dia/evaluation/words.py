"""Word error rate that knows of tags.

Both sides go through Whisper's English normaliser. Before that, speakers and tags leave the reference, and laughter
that the recogniser spelled out ("ha ha ha") leaves the hypothesis: it was asked for, it is no insertion. A tag read
aloud ("laughs") stays in, as the insertion it is, and is counted apart as well.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

from dia.dialogue import Script
from dia.dialogue.tags import known_tags

LAUGHTER = re.compile(r"\b(?:a?(?:ha|hah|heh|hee|he he|ho)(?:[ ,.!-]+|(?=h)|\b)){2,}", re.IGNORECASE)


@cache
def _normaliser() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()


def normalisation() -> str:
    """Return the name and version of the normalisation; scores of different ones must not be compared."""
    return f"dia-words-1, whisper-normalizer {version('whisper-normalizer')}"


def reference_words(script: Script) -> list[str]:
    """Return the normalised words that a script asks for."""
    return str(_normaliser()(script.words())).split()


def heard_words(transcript: str) -> list[str]:
    """Return the normalised words of a transcript, without spelled-out laughter."""
    return str(_normaliser()(LAUGHTER.sub(" ", transcript))).split()


@dataclass(frozen=True)
class WordErrors:
    """Errors of one clip: substitutions, deletions and insertions together, and the reference words they are out of."""

    errors: int
    words: int
    spoken_tags: int

    @property
    def rate(self) -> float:
        """Errors per reference word; a script without words is judged as one word."""
        return self.errors / max(self.words, 1)


def word_errors(script: Script, transcript: str) -> WordErrors:
    """Compare a transcript with its script."""
    wanted, heard = reference_words(script), heard_words(transcript)
    tag_words = {word for tag in known_tags() for word in tag.split()} - {"throat"}
    spoken = sum(max(0, heard.count(word) - wanted.count(word)) for word in tag_words)
    if not wanted:
        return WordErrors(len(heard), 0, spoken)
    counted = jiwer.process_words(" ".join(wanted), " ".join(heard))
    return WordErrors(counted.substitutions + counted.deletions + counted.insertions, len(wanted), spoken)
