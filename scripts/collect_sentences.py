"""Collect the sentences of data/open_english/sentences.txt from the files of two Debian packages.

    apt-get download wordnet-base r-cran-janeaustenr
    for package in *.deb; do dpkg -x "$package" packages; done
    python scripts/collect_sentences.py packages data/open_english/sentences.txt

Sources: the example sentences of WordNet 3.0 (its own permissive licence) and the six novels of Jane Austen
(public domain). A sentence is taken when every word of it is in the pronouncing lexicon of `hibari-tts`, and
when it has no word that a demonstration should not say.
"""

import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from hibari.g2p import G2P

from dia.files import write_text

WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
CHARACTERS = re.compile(r"[A-Za-z0-9 ,.;:?!'\-]+")
SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")
TITLES = re.compile(r"\b(Mr|Mrs|Dr|St|Esq)\.")
FEWEST_WORDS, MOST_WORDS = 3, 26
# Stems of words that a synthesized voice should not say in a demonstration.
EXCLUDED = re.compile(
    r"\b(nigg|negro|fuck|shit|cunt|bitch|whore|slut|rape|raping|jew|gypsy|savage|slave|cripple|retard|idiot|"
    r"fag|homosex|lesbian|prostitut|naked|nude|sex|penis|vagina|breast|nipple|orgasm|testic|erotic|porn|"
    r"bastard|damn|hell\b|god|christ|jesus|islam|muslim|nazi|hitler|suicid|murder|kill|corpse|piss|urin|feces|"
    r"defecat|excrement|semen|anus|anal\b|turd|heroin|cocaine|drunk)",
    re.IGNORECASE,
)


def wordnet_examples(folder: Path) -> Iterator[str]:
    """Yield the quoted examples of WordNet's data files."""
    for part in ("noun", "verb", "adj", "adv"):
        text = (folder / "usr/share/wordnet" / f"data.{part}").read_text(encoding="latin-1")
        for line in text.splitlines():
            if "|" in line:
                yield from re.findall(r'"([^"]+)"', line.split("|", 1)[1])


def austen_sentences(folder: Path) -> Iterator[str]:
    """Yield the sentences of the novels in R's data base `janeaustenr`.

    The file is a sequence of zlib streams, each after its length in four bytes. In a stream the lines are R's
    character vectors: a type of four bytes that ends in 9, a length, and the bytes.
    """
    content = (folder / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    while content:
        stream = zlib.decompressobj()
        novel = stream.decompress(content[4:])
        content = stream.unused_data
        yield from _sentences(_lines(novel))


def _lines(serialized: bytes) -> list[str]:
    lines, place = [], 0
    for match in re.finditer(rb"\x00[\x04\x00]\x00\x09", serialized):
        if match.start() < place:
            continue
        length = int.from_bytes(serialized[match.end() : match.end() + 4], "big")
        if length < 200:
            place = match.end() + 4 + length
            lines.append(serialized[match.end() + 4 : place].decode("latin-1"))
    return lines


def _sentences(lines: list[str]) -> Iterator[str]:
    for paragraph in "\n".join(lines).split("\n\n"):
        text = TITLES.sub(r"\1", " ".join(paragraph.split()))
        for quoted in re.split(r'["\u201c\u201d]', text):
            yield from SENTENCE_END.split(quoted.strip())


def cleaned(sentence: str) -> str:
    """Return a sentence with plain signs, a capital and an end mark, or "" if it is not usable."""
    text = sentence.replace("--", ", ").replace("_", "").replace("`", "'").strip(" .,;:-'")
    text = re.sub(r"\s+", " ", text).replace(" ,", ",").replace(",,", ",")
    if not CHARACTERS.fullmatch(text) or ".." in text or EXCLUDED.search(text):
        return ""
    if not FEWEST_WORDS <= len(text.split()) <= MOST_WORDS or text.count("'") > 2:
        return ""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" else f"{text}."


class Lexicon:
    """The pronouncing lexicon of `hibari-tts`."""

    def __init__(self) -> None:
        self.lexicon = G2P().lexicon

    def has_words_of(self, sentence: str) -> bool:
        """Return whether it has every word of a sentence."""
        return all(self._has(word) for word in WORD.findall(sentence))

    def _has(self, word: str) -> bool:
        spellings = (word, word.lower(), word.split("'")[0].lower())
        return any(item in self.lexicon.golds or item in self.lexicon.silvers for item in spellings)


def main() -> None:
    """Write the sorted distinct sentences."""
    folder, out, lexicon = Path(sys.argv[1]), Path(sys.argv[2]), Lexicon()
    sources = (wordnet_examples(folder), austen_sentences(folder))
    sentences = {cleaned(item) for source in sources for item in source} - {""}
    chosen = sorted(sentence for sentence in sentences if lexicon.has_words_of(sentence))
    write_text(out, "\n".join(chosen) + "\n")
    print(f"{len(chosen):,} sentences of {len(sentences):,} in {out}")


if __name__ == "__main__":
    main()
