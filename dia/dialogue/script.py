"""Script: a dialogue as turns and nonverbals, and the text with [S1]/[S2] and (laughs) that Dia reads.

A turn keeps its words, its nonverbals and how it is spoken (``{happy}`` before the words) apart. A nonverbal
stands *before* the character ``char`` of the turn's text (``len(text)`` puts it at the end), always between
words: that is the same convention as in a prepared data set.
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
    """A nonverbal sound: its tag without parentheses, and the character of the turn's text that it stands
    before.
    """

    tag: str
    char: int


@dataclass(frozen=True)
class Turn:
    """What one speaker (1, 2, ...) says at a stretch: words, and the nonverbals between them in order."""

    speaker: int
    text: str
    nonverbals: tuple[Nonverbal, ...] = field(default=())
    emotion: str = ""

    def render(self) -> str:
        """Return the turn as Dia reads it: ``[S1] words (tag) words``, or ``[S1] {happy} words`` with a way
        of speaking.
        """
        out, done = f"[S{self.speaker}]" + (f" {{{self.emotion}}}" if self.emotion else ""), 0
        for nonverbal in self.nonverbals:
            out = _glue(out, self.text[done : nonverbal.char].strip())
            out = _glue(out, f"({nonverbal.tag})")
            done = nonverbal.char
        return _glue(out, self.text[done:].strip())


@dataclass(frozen=True)
class Script:
    """A dialogue: its turns in order."""

    turns: tuple[Turn, ...]

    @classmethod
    def parse(cls, text: str) -> "Script":
        """Read ``[S1] Hello there. (laughs) [S2] Hi!``; runs of white space count as one space.

        Known aliases of a tag become the canonical tag; an unknown tag is kept as written (``lint`` reports
        it). Raises ``ValueError`` when the text does not begin with a speaker tag.
        """
        pieces = SPEAKER.split(text)
        if pieces[0].strip() or len(pieces) == 1:
            raise ValueError(
                f"the script does not begin with a speaker: {text[:40]!r}; write [S1] before the first words"
            )
        pairs = zip(pieces[1::2], pieces[2::2], strict=True)
        return cls(tuple(_parse_turn(int(speaker), words) for speaker, words in pairs))

    def render(self) -> str:
        """Return the script as Dia reads it; ``Script.parse`` gives the same script back."""
        return " ".join(turn.render() for turn in self.turns)

    def words(self) -> str:
        """Return what is said, without speakers and nonverbals."""
        return " ".join(turn.text for turn in self.turns if turn.text)


def _glue(left: str, right: str) -> str:
    """Join with one space, none before closing punctuation and none around nothing."""
    if not left or not right:
        return left + right
    return left + right if right[0] in CLOSING_PUNCTUATION and left[-1] not in "]}" else f"{left} {right}"


def _parse_turn(speaker: int, written: str) -> Turn:
    """Take the way of speaking and the tags out of ``written``. A tag's place is counted after the words
    before it are joined.
    """
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


def _settle(found: list[tuple[str, int, bool]], words: str) -> tuple[Nonverbal, ...]:
    """Give tags in a row one common place: the one of the last of them, which knows what follows."""
    settled: list[Nonverbal] = []
    place = len(words)
    for tag, char, followed in reversed(found):
        place = char if followed else place
        settled.append(Nonverbal(tag, place))
    return tuple(reversed(settled))
