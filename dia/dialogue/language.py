"""Detection of texts in other languages than English, which is the only one that Dia-1.6B speaks.

The rules are exact rather than sensitive: a text counts as foreign only when most of its letters are not
Latin, or when words of another language (data/languages.yaml) and accented words dominate. Names do not
count, so that English with foreign names is English.
"""

import re
import unicodedata
from collections import Counter
from functools import cache

from dia.resources import declaration

WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
FEWEST_WORDS = 2  # of another language
SHARE = 0.25  # of the words of a text
# words with accents that English writes too
LOANS = frozenset(
    {
        "café",
        "cafés",
        "naïve",
        "résumé",
        "résumés",
        "fiancé",
        "fiancée",
        "cliché",
        "clichés",
        "façade",
        "déjà",
        "à",
    }
    | {
        "voilà",
        "crème",
        "brûlée",
        "entrée",
        "piñata",
        "jalapeño",
        "jalapeños",
        "über",
        "touché",
        "soufflé",
        "sauté",
    }
    | {"décor", "éclair", "purée", "protégé", "matinée", "soirée", "señor"}
)


def foreign_language(text: str) -> str | None:
    """Return what the text is ("German", "written in Cyrillic letters"); None for English."""
    return _foreign_letters(text) or _foreign_words(text)


def _foreign_letters(text: str) -> str | None:
    if text.isascii():
        return None
    scripts = Counter(_script(letter) for letter in text if letter.isalpha())
    latin = scripts.pop("Latin", 0)
    if sum(scripts.values()) <= latin:
        return None
    return f"written in {scripts.most_common(1)[0][0]} letters"


@cache
def _script(letter: str) -> str:
    name = unicodedata.name(letter, "unknown").replace("FULLWIDTH ", "")
    first = name.split(" ")[0].split("-")[0]
    return {"CJK": "Chinese"}.get(first, first.capitalize())


def _foreign_words(text: str) -> str | None:
    words = [word.replace("\u2019", "'") for word in WORD.findall(text)]
    folded = [word.casefold() for word in words]
    accented = {word for word in words if word.islower() and not word.isascii()} - LOANS
    languages = _languages()
    hits = {
        language: sum(item in known or word in accented for item, word in zip(folded, words, strict=True))
        for language, known in languages.items()
    }
    own = {language: sum(item in known for item in folded) for language, known in languages.items()}
    english = own.pop("English")
    best = max(own, key=lambda language: (own[language], hits[language]))
    if hits[best] < FEWEST_WORDS or hits[best] <= 2 * english or hits[best] < SHARE * len(words):
        return None
    return best if own[best] else "in another language than English"


@cache
def _languages() -> dict[str, frozenset[str]]:
    content: dict[str, list[str]] = declaration("data/languages.yaml")
    return {language: frozenset(words) for language, words in content.items()}
