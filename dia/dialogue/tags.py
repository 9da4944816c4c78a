"""The 21 nonverbal tags and their aliases, declared in data/tags.yaml."""

import difflib
from functools import cache

from dia.resources import declaration


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


def nearest_tag(spelling: str) -> str:
    """Return the canonical tag whose spelling or alias is most similar to ``spelling``."""
    close = difflib.get_close_matches(spelling.lower(), _canonical_by_spelling(), n=1, cutoff=0.0)
    return _canonical_by_spelling()[close[0]]
