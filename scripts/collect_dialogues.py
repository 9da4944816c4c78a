"""Collect the exchanges of eval/prompts/plays.jsonl from the texts of four plays of Project Gutenberg.

    for number in 844 885 2542 3825; do wget https://www.gutenberg.org/files/$number/$number.txt; done
    python scripts/collect_dialogues.py . eval/prompts/plays.jsonl

Each exchange has two to four turns of two characters who speak in turn. An exchange is taken when every word
is in the pronouncing lexicon of `hibari-tts` and it has no word that a demonstration should not say.
"""

import json
import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from collect_sentences import CHARACTERS, EXCLUDED, TITLES, Lexicon

from dia.files import write_text

EACH = 25  # exchanges of a play
FEWEST_WORDS, MOST_WORDS, MOST_OF_ALL = 3, 22, 50
DIRECTIONS = re.compile(r"\[[^\]]*\]|\([^)]*\)")


@dataclass(frozen=True)
class Play:
    """A play of Project Gutenberg: its number, author and title, and the names that begin its speeches."""

    number: int
    source: str
    characters: tuple[str, ...]


PLAYS = (
    Play(
        844,
        "Oscar Wilde, The Importance of Being Earnest, 1895",
        ("Algernon", "Jack", "Lane", "Gwendolen", "Cecily", "Lady Bracknell", "Miss Prism", "Chasuble"),
    ),
    Play(
        885,
        "Oscar Wilde, An Ideal Husband, 1895",
        (
            "SIR ROBERT CHILTERN",
            "LADY CHILTERN",
            "LORD GORING",
            "MABEL CHILTERN",
            "MRS. CHEVELEY",
            "LORD CAVERSHAM",
        ),
    ),
    Play(
        2542,
        "Henrik Ibsen, A Doll's House, 1879, translation of Project Gutenberg",
        ("Nora", "Helmer", "Mrs. Linde", "Krogstad", "Rank"),
    ),
    Play(
        3825,
        "Bernard Shaw, Pygmalion, 1913",
        ("HIGGINS", "PICKERING", "LIZA", "MRS. HIGGINS", "MRS. PEARCE", "FREDDY", "DOOLITTLE"),
    ),
)


def speeches(text: str, characters: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the character and the text of each speech; a text is "" where it is not usable."""
    names = "|".join(re.escape(name) for name in characters)
    speech = re.compile(rf"({names})(?=[ .\[(])\s*(?:\[[^\]]*\]|\([^)]*\))?\s*\.?\s*(.*)")
    for paragraph in text.split("\n\n"):
        joined = " ".join(paragraph.split())
        if match := speech.fullmatch(joined):
            yield match[1], cleaned(match[2], names)
        elif joined and not joined.startswith(("[", "(")):
            yield "", ""


def cleaned(text: str, names: str) -> str:
    """Return a speech without stage directions, or "" if it is not usable."""
    text = TITLES.sub(r"\1", DIRECTIONS.sub(" ", text.replace("_", "")))
    text = re.sub(r"\s*--\s*", ", ", re.sub(r"\s+", " ", text).strip())
    text = re.sub(r",(?=[.,;:?!])| (?=[.,;:?!])", "", text).rstrip(" ,-")
    usable = CHARACTERS.fullmatch(text) and ".." not in text and not EXCLUDED.search(text)
    # a speech within a paragraph: the text lacks an empty line there
    if not usable or re.search(rf"\b({names})\. [A-Z]", text) or text[-1] not in ".?!":
        return ""
    return text if FEWEST_WORDS <= len(text.split()) <= MOST_WORDS else ""


def exchanges(said: list[tuple[str, str]], lexicon: Lexicon) -> Iterator[list[str]]:
    """Yield exchanges that do not overlap: the texts of two to four turns of two characters in turn."""
    place = 0
    while place < len(said):
        turns = _exchange(said[place : place + 4], 2 + zlib.crc32(said[place][1].encode()) % 3, lexicon)
        if turns:
            yield turns
        place += max(1, len(turns))


def _exchange(said: list[tuple[str, str]], turns: int, lexicon: Lexicon) -> list[str]:
    characters, texts = zip(*said[:turns], strict=True)
    alternate = len(set(characters)) == 2 and all(a != b for a, b in pairwise(characters))
    words = sum(len(text.split()) for text in texts)
    fits = len(texts) == turns and alternate and all(texts) and words <= MOST_OF_ALL
    return list(texts) if fits and all(lexicon.has_words_of(text) for text in texts) else []


def main() -> None:
    """Write the prompts."""
    folder, out, lexicon = Path(sys.argv[1]), Path(sys.argv[2]), Lexicon()
    lines = []
    for play in PLAYS:
        text = (folder / f"{play.number}.txt").read_text(encoding="utf-8-sig", errors="replace")
        usable = list(exchanges(list(speeches(text.replace("\r", ""), play.characters)), lexicon))
        chosen = sorted(usable, key=lambda turns: zlib.crc32(" ".join(turns).encode()))[:EACH]
        print(f"{play.source}: {len(chosen)} of {len(usable)} exchanges")
        for number, turns in enumerate(chosen):
            script = " ".join(f"[S{1 + turn % 2}] {said}" for turn, said in enumerate(turns))
            prompt = {"id": f"plays-{play.number}-{number:02}", "script": script, "licence": "public domain"}
            lines.append(json.dumps(prompt | {"source": play.source}))
    write_text(out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
