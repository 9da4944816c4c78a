"""Scripts of the demo corpus: sentences from a grammar (data/demo/grammar.yaml), dialogues of them, by split.

Every sentence belongs to one split only, so that a test script was never heard in training. Which one is a
function of the sentence alone: of each template the same share is held out. What training hears may come
again, what is held out may not. Everything else is a pure function of the seed.
"""

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dia.data.sources.voices import Strength
from dia.dialogue import Nonverbal, Script, Turn
from dia.errors import UserError
from dia.resources import declaration

SPLITS = ("train", "validation", "test")
STYLES = ("plain", "activated", "calm")
SLOT = re.compile(r"\{(\w+)\}")
BOUNDARY = "|"
HELD_OUT = {"test": 0.15, "validation": 0.05}  # shares of the grammar's sentences
TRIES = 2_000  # in a row that bring nothing new, after which the grammar has no more to give


@dataclass(frozen=True)
class PlannedClip:
    """A clip to be spoken: id, split, script, and of each turn the speaking style (one of ``STYLES``) and its
    strength.
    """

    id: str
    split: str
    script: Script
    styles: tuple[str, ...]
    strengths: tuple[Strength, ...]


def fill(template: str, slots: dict[str, list[str]], rng: random.Random) -> str:
    """Return the template with each slot filled; a word is not used twice in one sentence, the first is
    capital.
    """
    used: set[str] = set()

    def choose(match: re.Match[str]) -> str:
        word = rng.choice([word for word in slots[match.group(1)] if word not in used])
        used.add(word)
        return word

    sentence = SLOT.sub(choose, template)
    return sentence[0].upper() + sentence[1:]


def clauses_of(sentence: str) -> list[str]:
    """Return the clauses of a sentence, between which a nonverbal may stand."""
    return [clause.strip() for clause in sentence.split(BOUNDARY)]


def split_of(text: str) -> str:
    """Return the split that a sentence belongs to, as it is spoken."""
    place = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
    for split, share in HELD_OUT.items():
        if place < share:
            return split
        place -= share
    return "train"


def draw_sentences(split: str, count: int, seed: int) -> list[str]:
    """Return so many sentences of a split, each template as often as any other while it has new ones; those
    of a held-out split are distinct.

    Raises :class:`UserError` when the grammar cannot give that many distinct sentences.
    """
    grammar = declaration("data/demo/grammar.yaml")
    rng = random.Random(f"sentences {split} {seed}")
    drawn: list[str] = []
    seen: set[str] = set()
    vain = 0
    while len(drawn) < count:
        sentence = fill(rng.choice(grammar["sentences"]), grammar["slots"], rng)
        vain += 1
        if split_of(" ".join(clauses_of(sentence))) == split and sentence not in seen:
            drawn.append(sentence)
            seen |= {sentence} if split in HELD_OUT else set()
            vain = 0
        if vain == TRIES:
            raise UserError(
                f"data.demo.clips.{split} asks for {count:,} distinct sentences, the grammar gave {len(drawn):,}; ask for fewer "
                "clips"
            )
    return drawn


def plan_clips(
    clips: dict[str, int],
    turns: Sequence[float],
    tags: list[str],
    tag_rate: float,
    style_rate: float,
    seed: int,
) -> list[PlannedClip]:
    """Plan ``clips[split]`` dialogues per split; ``turns`` are the shares of those with one turn, two turns
    and so on.

    ``tag_rate`` is the probability that a turn carries one nonverbal of ``tags``; ``style_rate`` that a turn
    is spoken activated or calm. Raises :class:`UserError` as :func:`draw_sentences` does.
    """
    planned = []
    for split in (name for name in SPLITS if name in clips):
        sizes = _turn_counts(split, clips[split], turns, seed)
        rng, strength = random.Random(f"clips {split} {seed}"), random.Random(f"strengths {split} {seed}")
        pool = iter(draw_sentences(split, sum(sizes), seed))
        for index, size in enumerate(sizes):
            spoken = [_turn(1 + number % 2, next(pool), tags, tag_rate, rng) for number in range(size)]
            styles = tuple(rng.choice(STYLES[1:]) if rng.random() < style_rate else "plain" for _ in spoken)
            strengths = tuple(_strength(strength) for _ in spoken)
            planned.append(
                PlannedClip(f"demo-{split}-{index:05d}", split, Script(tuple(spoken)), styles, strengths)
            )
    return planned


def _turn_counts(split: str, clips: int, shares: Sequence[float], seed: int) -> list[int]:
    """How many turns each dialogue of a split has."""
    return random.Random(f"turns {split} {seed}").choices(range(1, len(shares) + 1), shares, k=clips)


def _strength(rng: random.Random) -> Strength:
    """Pace, pitch and loudness each go their own way: a turn may be fast and hardly louder, or loud and
    hardly faster.
    """
    return Strength(*(round(rng.uniform(0.4, 1.0), 2) for _ in range(3)))


def stated_feeling(sentence: str) -> tuple[float, float] | None:
    """Return the valence and dominance of what a speaker says to feel, None where nothing of the kind is
    said.
    """
    grammar = declaration("data/demo/grammar.yaml")
    match = re.search(grammar["stated"], sentence)
    if match is None:
        return None
    valence, dominance = grammar["feelings"][match.group(1)]
    return float(valence), float(dominance)


def _turn(speaker: int, sentence: str, tags: list[str], tag_rate: float, rng: random.Random) -> Turn:
    clauses = clauses_of(sentence)
    text = " ".join(clauses)
    if not tags or rng.random() >= tag_rate:
        return Turn(speaker, text)
    boundaries = [len(" ".join(clauses[:count])) + 1 for count in range(1, len(clauses))]
    char = rng.choice([0, *boundaries, len(text)])
    return Turn(speaker, text, (Nonverbal(rng.choice(tags), char),))
