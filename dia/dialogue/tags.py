"""The 21 nonverbal tags and their aliases, from one table (data/tags.yaml)."""

import difflib
from functools import cache

from dia.resources import declaration


@cache
def known_tags() -> tuple[str, ...]:
    """Return the canonical tags, without parentheses, in the table's order."""
    return tuple(declaration("data/tags.yaml"))


@cache
def _canonical_by_spelling() -> dict[str, str]:
    table: dict[str, list[str]] = declaration("data/tags.yaml")
    return {spelling: tag for tag, aliases in table.items() for spelling in (tag, *aliases)}


def canonical_tag(spelling: str) -> str | None:
    """Return the canonical tag for any known spelling ("Laughing" -> "laughs"), or None when it is
    unknown.
    """
    return _canonical_by_spelling().get(" ".join(spelling.lower().split()))


def tag_spellings() -> tuple[str, ...]:
    """Return every known spelling of every tag, canonical ones and aliases."""
    return tuple(_canonical_by_spelling())


def nearest_tag(spelling: str) -> str:
    """Return the canonical tag whose spelling or alias is most like ``spelling``."""
    close = difflib.get_close_matches(spelling.lower(), _canonical_by_spelling(), n=1, cutoff=0.0)
    return _canonical_by_spelling()[close[0]]
