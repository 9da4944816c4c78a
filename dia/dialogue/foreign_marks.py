"""Marks of other speech systems in a text, such as ``[laughs]`` or ``<break/>``, which Dia would read aloud.

The systems and their marks are declared in data/foreign_marks.yaml; any other bracketed or angled mark counts
too, without a system.
"""

import re
from dataclasses import dataclass
from functools import cache

from dia.dialogue.tags import canonical_tag, nearest_tag
from dia.resources import declaration

# a bracket that is no speaker, a tag of XML, asterisks around words, a note; a label at the start of a turn
MARK = re.compile(
    r"\[(?!S[1-9][0-9]*\])[^\[\]]*\]|<[/|]?[A-Za-z][^<>]*>|(?<!\*)\*+[^\s*](?:[^*]*[^\s*])?\*+|♪"
    r"|(?:(?<=\n)|(?<=\])|^)[ \t]*([A-Za-z]+ ?\d*:)(?=\s)"
)
SPEAKER_MARK = re.compile(r"(?i)\[\s*s\s*0*([0-9]+)\s*\]|\[(?:speaker|spk)[ _]?([0-9]+)\]|s([0-9]+):")
PAUSE = re.compile(r"(?i)break|pause")


@dataclass(frozen=True)
class ForeignMark:
    """A mark as written, the systems that have it (none for an unknown one), and the place of its end."""

    written: str
    systems: tuple[str, ...]
    start: int
    end: int

    def problem(self) -> str:
        """Return a sentence about the mark with its remedy."""
        owner = f" of {' and '.join(self.systems)}" if self.systems else ""
        what = f"a mark{owner}" if owner else "no mark of Dia"
        return f"{self.written} is {what} and would be read as text; {self._remedy()}"

    def _remedy(self) -> str:
        if SPEAKER_MARK.fullmatch(self.written) or self.written.endswith(":") or self.written[1:-1].isdigit():
            return "write speakers as [S1] and [S2]"
        name = " ".join(re.findall(r"[A-Za-z]+", self.written)).lower()
        if tag := canonical_tag(name) or nearest_tag(name):
            return f"write ({tag})"
        if PAUSE.search(self.written):
            return "remove it; punctuation makes a pause"
        return "remove it; sounds are written as (laughs), speakers as [S1]"


def foreign_marks(text: str) -> list[ForeignMark]:
    """Return the marks of other systems in their order, each as often as it is written."""
    marks = []
    for match in MARK.finditer(text):
        written, (start, end) = match.group(1) or match.group(), match.span()
        systems = tuple(
            name
            for name, patterns in _patterns().items()
            if any(pattern.fullmatch(written) for pattern in patterns)
        )
        is_label = match.group(1) is not None
        if systems or not is_label or SPEAKER_MARK.fullmatch(written):  # "Remember:" is ordinary English
            marks.append(ForeignMark(written, systems, start, end))
    return marks


def without_foreign_marks(text: str) -> str:
    """Return a text without marks of other systems."""
    pieces, done = [], 0
    for mark in foreign_marks(text):
        pieces.append(text[done : mark.start])
        done = mark.end
    return " ".join((*pieces, text[done:]))


@cache
def _patterns() -> dict[str, list[re.Pattern[str]]]:
    systems: dict[str, list[str]] = declaration("data/foreign_marks.yaml")
    return {
        name: [re.compile(pattern, re.IGNORECASE) for pattern in patterns]
        for name, patterns in systems.items()
    }
