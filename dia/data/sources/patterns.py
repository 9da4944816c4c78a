"""Regular expressions of a corpus declaration, which may come from someone else, with a limit of time.

Python's `re` can search for ever: ``(a+)+$`` doubles its steps with every letter. The package `regex` has the
same syntax and a timeout.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import regex

from dia.errors import UserError

SECONDS = 1.0  # for one text; usual patterns take microseconds


def pattern_problem(pattern: str) -> str | None:
    """Return why a text is no regular expression, or None."""
    try:
        _compiled(pattern)
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        return f"{pattern!r} is no regular expression ({error}); see Python's module re"
    return None


def search(pattern: str, text: str) -> Any:
    """Return the first match or None. Raises :class:`UserError` when the search takes too long."""
    try:
        return _compiled(pattern).search(text, timeout=SECONDS)
    except TimeoutError as error:
        raise _too_slow(pattern, text) from error


def finditer(pattern: str, text: str) -> Iterator[Any]:
    """Yield all matches. Raises :class:`UserError` when the search takes too long."""
    try:
        yield from _compiled(pattern).finditer(text, timeout=SECONDS)
    except TimeoutError as error:
        raise _too_slow(pattern, text) from error


def remove(pattern: str, text: str) -> str:
    """Return a text with a space in place of each match. Raises :class:`UserError` as :func:`search` does."""
    try:
        replaced: str = _compiled(pattern).sub(" ", text, timeout=SECONDS)
    except TimeoutError as error:
        raise _too_slow(pattern, text) from error
    return replaced


def _too_slow(pattern: str, text: str) -> UserError:
    return UserError(
        f"the pattern {pattern!r} takes more than {SECONDS:g} s for a text of {len(text):,} characters; "
        "write it without nested repetitions"
    )


@cache
def _compiled(pattern: str) -> Any:
    return regex.compile(pattern)
