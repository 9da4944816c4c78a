"""Scripts of the corpus open_english: sentences of books and dictionaries, templates, lists of rare words.

Every sentence belongs to exactly one split. Some rare words are held out: training has no sentence with one
of them, so that the test split measures the reading of new words. Everything is a pure function of the seed.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from dia.config.data import OpenEnglishConfig
from dia.data.sources.demo_scripts import (
    BOUNDARY,
    SPLITS,
    STYLES,
    PlannedClip,
    clauses_of,
    draw_strength,
    draw_turn,
    draw_turn_counts,
    fill,
    split_of,
)
from dia.dialogue import Script
from dia.resources import declaration, resource

WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
CLAUSE_END = re.compile(r"([,;:]) ")
RARE = 12  # words with at most this many sentences can be held out
HELD_OUT_WORDS = 0.2  # share of the rare words
KINDS = {"library": 0.6, "template": 0.35, "words": 0.05}
WORDS_OF_LIST = (2, 3, 4)


@dataclass(frozen=True)
class Library:
    """Sentences by split; ``unseen`` are those of the test split with a held-out word."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    unseen: tuple[str, ...]
    words: tuple[str, ...]
    """Words of the training sentences that are rare in them."""

    def of(self, split: str) -> tuple[str, ...]:
        """Return the sentences of a split without the unseen ones."""
        sentences: tuple[str, ...] = getattr(self, split)
        return sentences


def words_of(sentence: str) -> set[str]:
    """Return the distinct words of a sentence, in lower case."""
    return {word.lower() for word in WORD.findall(sentence)}


@cache
def read_library() -> Library:
    """Return the sentences of data/open_english/sentences.txt, split."""
    sentences = resource("data/open_english/sentences.txt").read_text(encoding="utf-8").splitlines()
    counts = Counter(word for sentence in sentences for word in words_of(sentence))
    everyday = _template_words()
    rare = {word for word, count in counts.items() if count <= RARE and word not in everyday}
    held_out = {word for word in rare if _share(f"word {word}") < HELD_OUT_WORDS}
    by_split: dict[str, list[str]] = {split: [] for split in (*SPLITS, "unseen")}
    for sentence in sentences:
        split = "unseen" if words_of(sentence) & held_out else split_of(sentence)
        by_split[split].append(sentence)
    taught = {word for sentence in by_split["train"] for word in words_of(sentence)}
    return Library(
        **{split: tuple(items) for split, items in by_split.items()}, words=tuple(sorted(rare & taught))
    )


def _template_words() -> set[str]:
    everyday = declaration("data/open_english/templates.yaml")
    texts = [*everyday["sentences"], *(word for words in everyday["slots"].values() for word in words)]
    return {word for text in texts for word in words_of(text)}


def _share(text: str) -> float:
    """A pseudo-random number in 0..1 as a function of the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def draw_sentences(split: str, seed: int) -> Iterator[str]:
    """Yield sentences of a split without end; ``|`` marks the ends of their clauses.

    Every second sentence of the test split's library has a held-out word. Library sentences repeat after all
    of them were drawn.
    """
    rng = random.Random(f"open_english sentences {split} {seed}")
    library = read_library()
    known = _shuffled(library.of(split), rng)
    unseen = _shuffled(library.unseen, rng) if split == "test" else known
    for number, kind in enumerate(_kinds(split, rng)):
        if kind == "template":
            yield _fill_template(split, rng)
        elif kind == "words":
            yield _word_list(library.words, rng)
        else:
            yield CLAUSE_END.sub(rf"\1 {BOUNDARY} ", next(unseen if number % 2 else known))


def _kinds(split: str, rng: random.Random) -> Iterator[str]:
    """Kinds of sentences; lists of words are for training only."""
    kinds = [kind for kind in KINDS if kind != "words" or split == "train"]
    while True:
        yield rng.choices(kinds, [KINDS[kind] for kind in kinds])[0]


def _shuffled(sentences: tuple[str, ...], rng: random.Random) -> Iterator[str]:
    order = list(sentences)
    while True:
        rng.shuffle(order)
        yield from order


def _fill_template(split: str, rng: random.Random) -> str:
    """A sentence of the split from a random template."""
    everyday = declaration("data/open_english/templates.yaml")
    while True:
        sentence = fill(rng.choice(everyday["sentences"]), everyday["slots"], rng)
        if split_of(" ".join(clauses_of(sentence))) == split:
            return sentence


def _word_list(words: tuple[str, ...], rng: random.Random) -> str:
    *first, last = rng.sample(words, rng.choice(WORDS_OF_LIST))
    text = f"{f' {BOUNDARY} '.join(f'{word},' for word in first)} {BOUNDARY} {last}."
    return text[0].upper() + text[1:]


def plan_open_clips(config: OpenEnglishConfig) -> Iterator[PlannedClip]:
    """Yield the planned dialogues of all splits, training last.

    The plan of fewer clips is the beginning of the plan of more, so that a set of training clips that was
    interrupted is a smaller set.
    """
    for split in (name for name in reversed(SPLITS) if name in config.clips):
        rng = random.Random(f"open_english clips {split} {config.seed}")
        sentences = draw_sentences(split, config.seed)
        sizes = draw_turn_counts(f"open_english {split}", config.clips[split], config.turns, config.seed)
        for index, size in enumerate(sizes):
            pair = draw_voices(split, config, rng)
            turns = tuple(
                draw_turn(1 + number % 2, next(sentences), config.tags, config.tag_rate, rng)
                for number in range(size)
            )
            styles = tuple(
                rng.choice(STYLES[1:]) if rng.random() < config.style_rate else "plain" for _ in turns
            )
            strengths = tuple(draw_strength(rng) for _ in turns)
            voices = tuple(pair[turn.speaker - 1] for turn in turns)
            yield PlannedClip(f"open-{split}-{index:05d}", split, Script(turns), styles, strengths, voices)


def draw_voices(split: str, config: OpenEnglishConfig, rng: random.Random) -> tuple[str, str]:
    """Return the voices of S1 and S2, neighbours in a list of data/open_english/voices.yaml, in any order.

    ``config.voices`` replaces the lists; both speakers have the same voice when there is only one.
    """
    lists = declaration("data/open_english/voices.yaml")
    name = "slow" if rng.random() < config.slow_voices else "fast"
    if split == "test" and rng.random() < config.held_out_voices:
        name = "held_out"
    names = config.voices or lists[name]
    first = rng.randrange(len(names))
    step = rng.choice((-1, 1))
    return names[first], names[(first + step) % len(names)]
