"""The words, tags and emotions that a small model was trained on (``vocabulary.txt`` beside its weights).

The file has one entry a line, sorted: a word in lower case, a tag as ``(laughs)``, an emotion as ``{calm}``.
A model of open vocabulary has no such file.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dia.dialogue.script import Script
from dia.dialogue.tags import canonical_tag
from dia.errors import UserError, one_line
from dia.files import require_regular_file

WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
ENTRY = re.compile(r"[^\W_]+(?:'[^\W_]+)*|\([a-z ]+\)|\{[a-z]+\}")
MAX_BYTES = 1 << 20
SHOWN = 5


@dataclass(frozen=True)
class Vocabulary:
    """What a model of closed vocabulary can speak: words in lower case, ``(tags)`` and ``{emotions}``."""

    entries: frozenset[str]

    @classmethod
    def of_scripts(cls, texts: Iterable[str]) -> "Vocabulary":
        """Return the vocabulary of scripts."""
        return cls(frozenset(entry for text in texts for entry in entries_of(text)))

    def problems(self, text: str) -> list[str]:
        """Return a sentence about the entries of a text that the model does not know; none without any.

        What is no tag of Dia at all is not counted: the linter reports it.
        """
        unknown = [
            entry
            for entry in dict.fromkeys(entries_of(text))
            if entry not in self.entries and not _is_aside(entry)
        ]
        if not unknown:
            return []
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        return [
            f"this model was trained on {len(self.entries)} words and tags, without "
            f"{', '.join(unknown[:SHOWN])}{more}; it does not speak them intelligibly: use other words, or "
            "another model"
        ]

    def write(self, path: Path) -> None:
        """Write the entries, one a line."""
        path.write_text("".join(f"{entry}\n" for entry in sorted(self.entries)), encoding="utf-8")


def entries_of(text: str) -> list[str]:
    """Return the words, tags and emotions of a script in the notation of the file, by kind in their order."""
    turns = Script.read(text).turns
    words = [word.lower().replace("\u2019", "'") for turn in turns for word in WORD.findall(turn.text)]
    tags = [f"({nonverbal.tag})" for turn in turns for nonverbal in turn.nonverbals]
    return [*words, *tags, *(f"{{{turn.emotion}}}" for turn in turns if turn.emotion)]


def _is_aside(entry: str) -> bool:
    return entry.startswith("(") and canonical_tag(entry[1:-1]) is None


def read_vocabulary(path: Path) -> Vocabulary:
    """Return the vocabulary in a file, which may come from someone else.

    Raises:
        UserError: When it cannot be read, is too large, or has a line that is no entry.
    """
    try:
        require_regular_file(path)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        lines = content.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({one_line(error)}); copy it again or remove it") from error
    if len(content) > MAX_BYTES or not all(ENTRY.fullmatch(line) for line in lines):
        raise UserError(f"{path} is no list of words, one a line; copy it again or remove it")
    return Vocabulary(frozenset(lines))
