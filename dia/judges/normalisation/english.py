"""English words as they are spoken: whisper-normalizer, and what it lacks.

whisper-normalizer expands contractions and titles, computes the values of spoken numbers and writes American
spellings. Added here: curly apostrophes, initials ("U.S.", "p.m."), times, money, signs, units, dates and
abbreviations. Laughter and fillers of any length are removed (`laughter.py`); numbers become their digits
(`numbers.py`).
"""

import re
from functools import cache
from typing import Any

from dia.judges.normalisation.abbreviations import (
    AFTER_STREET,
    AMBIGUOUS_MONTHS,
    MONTH_NAMES,
    MONTHS,
    SINGULAR_UNITS,
    SPELLINGS,
    UNITS,
)
from dia.judges.normalisation.laughter import without_laughter
from dia.judges.normalisation.numbers import number_normaliser

ROUNDS = 4  # of normalisation at most; after one or two nothing changes
NOTHING = r"(?!)"
QUOTES = "\u2018\u2019\u201b\u02bc\uff07\u00b4`"
APOSTROPHES = str.maketrans(dict.fromkeys(QUOTES, "'") | {"\u00ad": ""})
INITIALS = re.compile(r"(?<![^\W\d])(?<![.'])(?:[a-z]\.(?:\s?[a-z]\.)+|[a-z](?:\.[a-z])+)(?!\w)")
AMOUNT = r"([$€£¥])\s?(\d[\d,]*(?:\.\d+)?)"
REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<=\d) 1/2\b|½", " and a half "),
        ("¼", " and a quarter "),
        ("¾", " and three quarters "),
        (rf"{AMOUNT}\s?k\b", r"\1\2 thousand"),
        (rf"{AMOUNT}\s?(?:m|mn)\b", r"\1\2 million"),
        (rf"{AMOUNT}\s?(?:b|bn)\b", r"\1\2 billion"),
        (r"¥\s?(\d[\d,]*(?:\.\d+)?(?: (?:thousand|million|billion))?)", r"\1 yen"),
        (r"([$€£])\s+(?=\d)", r"\1"),
        (r"(?<![\d:])0(?=\d:[0-5]\d(?!\d))", ""),
        (r"(?<![\d:])(\d{1,2}):00(?![\d:])(?=\s*[ap]\s?m\b)", r"\1"),
        (r"(?<![\d:])(\d{1,2}):00(?![\d:])", r"\1 oclock"),
        (r"(?<![\d.])(\d{1,2})\.([0-5]\d)(?=\s*[ap]\s?m\b)", r"\1 \2"),
        (r"\bo'\s?clock\b", "oclock"),
        (r"(?<!\S)-(?=\d)", "minus "),
        (r"(?<=\d)\s*%", " percent "),
        (r"(?<=\d)\s?[°º]\s?c\b", " degrees celsius"),
        (r"(?<=\d)\s?[°º]\s?f\b", " degrees fahrenheit"),
        (r"(?<=\d)\s?[°º]", " degrees "),
        ("&", " and "),
        (r"\+(?=\s?\d)", " plus "),
        (r"#\s?(?=\d)|\bno\.\s?(?=\d)", " number "),
        (r"(?<=\w)@(?=\w)", " at "),
        (r"(?<=[a-z0-9])\.(?=(?:com|org|net|edu|gov|io)\b)", " dot "),
        (r"(?<=\d)\s?mm\b", " millimeters"),  # elsewhere a filler
        (r"\b(?:km/h|kmh|kph)\b", "kilometers per hour"),
        (r"\bm/s\b", "meters per second"),
        (rf"(?<=\w )st\b(?=\W*$|\W*\b(?:{'|'.join(AFTER_STREET)})\b)", "street"),
    )
]


def english_words(text: str) -> tuple[str, ...]:
    """Return the normalised words of an English text, in lower case."""
    words: tuple[str, ...] = ()
    for _ in range(ROUNDS):
        previous, words = words, _normalise_once(text)
        if words == previous:
            break
        text = " ".join(words)
    return words


def _normalise_once(text: str) -> tuple[str, ...]:
    text = text.translate(APOSTROPHES).lower()
    text = INITIALS.sub(lambda match: re.sub(r"[.\s]", "", match[0]), text)
    for pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    return tuple(_expand(str(_whisper()(without_laughter(text))).split()))


@cache
def _whisper() -> Any:
    """whisper-normalizer with the numbers and fillers of this package."""
    from whisper_normalizer.english import EnglishTextNormalizer

    normaliser = EnglishTextNormalizer()
    normaliser.ignore_patterns = NOTHING
    normaliser.standardize_numbers = number_normaliser()
    return normaliser


def _expand(words: list[str]) -> list[str]:
    """Return words with abbreviations as they are spoken after the words before them."""
    result: list[str] = []
    for word in words:
        before = result[-1] if result else ""
        if before[:1].isdigit():
            word = UNITS.get(word) or SINGULAR_UNITS.get(word) or word
        if word == "m" and before in ("a", "p") and len(result) > 1 and result[-2][:1].isdigit():
            result[-1] = f"{before}m"
        elif word == "pence" and "pounds" in result[-3:]:
            continue
        elif word[:1].isdigit() and word.isalnum() and not word.isdigit() and _follows_month(result):
            result.append(word[0])
        elif word in MONTHS and word not in AMBIGUOUS_MONTHS:
            result.append(MONTHS[word])
        else:
            result += SPELLINGS.get(word, word).split()
    return result


def _follows_month(words: list[str]) -> bool:
    """Whether a day of a month follows: "January 2" or "January"."""
    return any(
        word in MONTH_NAMES and all(map(str.isdigit, words[place + 1 :]))
        for place, word in list(enumerate(words))[-2:]
    )
