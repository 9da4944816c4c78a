"""A dialogue as turns and nonverbal sounds, and the text with [S1]/[S2] and (laughs) that Dia reads.

A turn stores its words, its nonverbal sounds and its emotion (``{happy}`` before the words) separately. A
nonverbal sound precedes the character ``char`` of the turn's text (``len(text)`` puts it at the end) and
always lies between words, as in a prepared data set.
"""

import re
from dataclasses import dataclass, field

from dia.dialogue.tags import canonical_tag

SPEAKER = re.compile(r"\[S([1-9][0-9]*)\]")
TAG = re.compile(r"\(([^()]*)\)")
EMOTION = re.compile(r"\s*\{([a-z]+)\}")
CLOSING_PUNCTUATION = ",.;:!?"


@dataclass(frozen=True)
class Nonverbal:
    """A nonverbal sound: its tag without parentheses, and the character of the turn's text it precedes."""

    tag: str
    char: int


@dataclass(frozen=True)
class Turn:
    """The uninterrupted speech of one speaker (1, 2, ...): words, and nonverbal sounds in their order."""

    speaker: int
    text: str
    nonverbals: tuple[Nonverbal, ...] = field(default=())
    emotion: str = ""

    def render(self) -> str:
        """Return the turn's text as Dia reads it: ``[S1] words (tag) words``, or ``[S1] {happy} words``."""
        out = f"[S{self.speaker}]" + (f" {{{self.emotion}}}" if self.emotion else "")
        done = 0
        for nonverbal in self.nonverbals:
            out = _glue(out, self.text[done : nonverbal.char].strip())
            out = _glue(out, f"({nonverbal.tag})")
            done = nonverbal.char
        return _glue(out, self.text[done:].strip())

    @property
    def silent(self) -> bool:
        """Whether the turn has neither words nor nonverbal sounds, as a speaker tag at the end of a text."""
        return not self.text and not self.nonverbals


@dataclass(frozen=True)
class Script:
    """A dialogue: its turns in order."""

    turns: tuple[Turn, ...]

    @classmethod
    def parse(cls, text: str) -> "Script":
        """Parse text such as ``[S1] Hello there. (laughs) [S2] Hi!``; white space runs become one space.

        Known aliases of a tag become the canonical tag. An unknown tag stays as written; :func:`lint` reports
        it.

        Raises:
            ValueError: When the text does not begin with a speaker tag.
        """
        pieces = SPEAKER.split(text)
        if pieces[0].strip() or len(pieces) == 1:
            raise ValueError(
                f"the script does not begin with a speaker: {text[:40]!r}; write [S1] before the first words"
            )
        pairs = zip(pieces[1::2], pieces[2::2], strict=True)
        return cls(tuple(_parse_turn(int(speaker), words) for speaker, words in pairs))

    @classmethod
    def read(cls, text: str) -> "Script":
        """Parse any text as :meth:`parse` does; words before the first speaker tag are those of [S1]."""
        try:
            return cls.parse(text)
        except ValueError:
            return cls.parse(f"[S1] {text}")

    def render(self) -> str:
        """Return the script's text as Dia reads it; :meth:`parse` returns an equal script for it."""
        return " ".join(turn.render() for turn in self.turns)

    def words(self) -> str:
        """Return the words of all turns, without speaker tags and nonverbal tags."""
        return " ".join(turn.text for turn in self.turns if turn.text)


def normalize_text(text: str) -> str:
    """Return a text with white space runs as one space and aliases of tags as their tags, else unchanged.

    It inverts nothing that :meth:`Script.render` writes, and it is idempotent.
    """
    return TAG.sub(_canonical, " ".join(text.split()))


def _canonical(match: re.Match[str]) -> str:
    tag = canonical_tag(match.group(1))
    return match.group() if tag is None else f"({tag})"


def _glue(left: str, right: str) -> str:
    """Join two texts with one space; without a space before punctuation or when one text is empty."""
    if not left or not right:
        return left + right
    return left + right if right[0] in CLOSING_PUNCTUATION and left[-1] not in "]}" else f"{left} {right}"


def _parse_turn(speaker: int, written: str) -> Turn:
    """Separate emotion and tags from the words; positions of tags refer to the joined words."""
    emotion = EMOTION.match(written)
    pieces = TAG.split(written[emotion.end() :] if emotion else written)
    words, nonverbals = " ".join(pieces[0].split()), []
    for name, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        following = " ".join(piece.split())
        spelling = " ".join(name.split())
        joined = _glue(words, following)
        place = len(joined) - len(following) if following else len(words)
        nonverbals.append((canonical_tag(spelling) or spelling, place, bool(following)))
        words = joined
    return Turn(speaker, words, _settle(nonverbals, words), emotion.group(1) if emotion else "")


def _settle(tags: list[tuple[str, int, bool]], words: str) -> tuple[Nonverbal, ...]:
    """Give consecutive tags the position of the last of them, which is the one before the next word."""
    settled: list[Nonverbal] = []
    place = len(words)
    for tag, char, followed in reversed(tags):
        place = char if followed else place
        settled.append(Nonverbal(tag, place))
    return tuple(reversed(settled))
