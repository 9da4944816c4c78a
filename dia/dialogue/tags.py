"""The 21 nonverbal tags and their aliases, declared in data/tags.yaml."""

import difflib
from functools import cache

from dia.resources import declaration

SIMILAR = 0.8  # ratio of difflib; "lauhgs" has .83 to "laughs", "pause" has .77 to "applause"


@cache
def known_tags() -> tuple[str, ...]:
    """Return the canonical tags, without parentheses, in the order of the declaration."""
    return tuple(declaration("data/tags.yaml"))


@cache
def _canonical_by_spelling() -> dict[str, str]:
    table: dict[str, list[str]] = declaration("data/tags.yaml")
    return {spelling: tag for tag, aliases in table.items() for spelling in (tag, *aliases)}


def canonical_tag(spelling: str) -> str | None:
    """Return the canonical tag of a spelling ("Laughing" -> "laughs"), or None for an unknown one."""
    return _canonical_by_spelling().get(" ".join(spelling.lower().split()))


def tag_spellings() -> tuple[str, ...]:
    """Return all spellings of all tags: canonical tags and aliases."""
    return tuple(_canonical_by_spelling())


def nearest_tag(spelling: str) -> str | None:
    """Return the canonical tag that ``spelling`` probably means, or None when no tag is near.

    A tag is near when a spelling of it is among the words ("laughs softly"), or differs by a slip ("lauhgs").
    A slip spares the first letter: "ringing" is not "singing".
    """
    words = "".join(letter if letter.isalpha() else " " for letter in spelling.lower()).split()
    written = " ".join(words)
    known = sorted(_canonical_by_spelling(), key=len, reverse=True)
    for name in known:
        if f" {name} " in f" {written} ":
            return canonical_tag(name)
    same_letter = [name for name in known if name[:1] == written[:1]]
    close = difflib.get_close_matches(written, same_letter, n=1, cutoff=SIMILAR)
    return canonical_tag(close[0]) if close else None
