"""Removal of laughter and fillers, which recognisers transcribe in different ways or not at all.

"Ha", "hee" and syllables that are joined ("haha", "hohoho") are never another word. "He" and "ho" are, so
they are laughter only in a row: "he he he" and "ho ho", but not "Did he? He said so" or "heave ho". Laughs
and screams are transcribed as rows of "ah" as well.
"""

import re

WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:'[^\W\d_]+)*")
FILLER = re.compile(r"u+h+|u+m+|h+m+|m+h+m+|mm+|e+r+m+")  # Whisper's fillers, of any length
SYLLABLE = "h+(?:a+|e+|i+|o+|u+)"
LAUGH = re.compile(rf"(?:b|mw|bw)?[au]*(?:{SYLLABLE}){{2,}}h*|ha+h*|he+h+|hee+")
AMBIGUOUS = {"he": 3, "ho": 2, "ah": 4}  # how many in a row are laughter, or a scream


def without_laughter(text: str) -> str:
    """Return a lower-case text without laughter and fillers; all other signs stay."""
    words = list(WORD.finditer(text))
    remaining = [word for word in words if not FILLER.fullmatch(word[0]) and not LAUGH.fullmatch(word[0])]
    remaining = _without_rows(remaining)
    places = {word.start() for word in remaining}
    for word in reversed(words):
        if word.start() not in places:
            text = f"{text[: word.start()]} {text[word.end() :]}"
    return text


def _without_rows(words: list[re.Match[str]]) -> list[re.Match[str]]:
    """Remove rows of an ambiguous syllable until there is none."""
    for start, word in enumerate(words):
        syllable = word[0]
        if syllable not in AMBIGUOUS:
            continue
        end = start
        while end < len(words) and words[end][0] == syllable:
            end += 1
        if end - start >= AMBIGUOUS[syllable]:
            return _without_rows(words[:start] + words[end:])
    return words
