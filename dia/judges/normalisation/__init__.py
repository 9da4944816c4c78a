"""The normalisation of texts before their words are compared: what sounds alike is written alike.

English is normalised by whisper-normalizer with additions (`english.py`), other languages by its basic
normaliser. Chinese, Japanese and other languages without spaces are compared by character.
"""

from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from dia.judges.normalisation.english import english_words
from dia.judges.recording import ENGLISH

VERSION = "4"  # changes whenever any text is normalised differently
WITHOUT_SPACES = ("zh", "yue", "ja", "th", "lo", "my")  # as Whisper's paper, appendix C
TEXTS_CACHED = 10_000


def normalisation_version() -> str:
    """Return the version of the normalisation; scores of different versions are not comparable.

    Where whisper-normalizer is not installed, nothing can be normalised.
    """
    try:
        return f"dia-words-{VERSION}, whisper-normalizer {version('whisper-normalizer')}"
    except PackageNotFoundError:
        return "no normaliser"


@lru_cache(TEXTS_CACHED)
def normalise(text: str, language: str = ENGLISH) -> tuple[str, ...]:
    """Return the words of a text in a language (ISO 639), or its characters for :data:`WITHOUT_SPACES`.

    Normalising the joined words again returns the same words.
    """
    if language == ENGLISH:
        return english_words(text)
    return tuple(str(_basic(language in WITHOUT_SPACES)(text)).split())


def separator(language: str) -> str:
    """Return what stands between words when characters are counted."""
    return "" if language in WITHOUT_SPACES else " "


@cache
def _basic(split: bool) -> Any:
    from whisper_normalizer.basic import BasicTextNormalizer

    # marks are vowels in Hindi and other languages
    return BasicTextNormalizer(split_letters=split, preserve_marks=True)
