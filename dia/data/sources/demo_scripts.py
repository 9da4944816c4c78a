"""Scripts of the demo corpus: sentences of a grammar (data/demo/grammar.yaml), combined to dialogues.

Each sentence belongs to exactly one split, which is a function of the sentence alone: of each template the
same share is held out. Training sentences may repeat, held-out sentences may not. Everything else is a pure
function of the seed.
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
VOICES = ("heart", "joe")  # of S1 and S2
STYLES = ("plain", "activated", "calm")
SLOT = re.compile(r"\{(\w+)\}")
BOUNDARY = "|"
HELD_OUT = {"test": 0.15, "validation": 0.05}  # shares of the grammar's sentences
TRIES = 2_000  # consecutive draws without a new sentence, after which the grammar counts as exhausted


@dataclass(frozen=True)
class PlannedClip:
    """A clip to synthesize; ``styles``, ``strengths`` and ``voices`` are those of each turn."""

    id: str
    split: str
    script: Script
    styles: tuple[str, ...]
    strengths: tuple[Strength, ...]
    voices: tuple[str, ...]


def fill(template: str, slots: dict[str, list[str]], rng: random.Random) -> str:
    """Return the template with filled slots and a capital first letter; no word is used twice."""
    used: set[str] = set()

    def choose(match: re.Match[str]) -> str:
        word = rng.choice([word for word in slots[match.group(1)] if word not in used])
        used.add(word)
        return word

    sentence = SLOT.sub(choose, template)
    return sentence[0].upper() + sentence[1:]


def clauses_of(sentence: str) -> list[str]:
    """Return the clauses of a sentence; a nonverbal can be placed between them."""
    return [clause.strip() for clause in sentence.split(BOUNDARY)]


def split_of(text: str, held_out: dict[str, float] = HELD_OUT) -> str:
    """Return the split of a text, such as a spoken sentence; ``held_out`` are the shares of other splits."""
    place = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
    for split, share in held_out.items():
        if place < share:
            return split
        place -= share
    return "train"


def draw_sentences(split: str, count: int, seed: int) -> list[str]:
    """Return ``count`` sentences of a split with uniformly drawn templates; held-out ones are distinct.

    Raises :class:`UserError` when the grammar does not have that many distinct sentences.
    """
    grammar = declaration("data/demo/grammar.yaml")
    rng = random.Random(f"sentences {split} {seed}")
    drawn: list[str] = []
    seen: set[str] = set()
    failures = 0
    while len(drawn) < count:
        sentence = fill(rng.choice(grammar["sentences"]), grammar["slots"], rng)
        failures += 1
        if split_of(" ".join(clauses_of(sentence))) == split and sentence not in seen:
            drawn.append(sentence)
            seen |= {sentence} if split in HELD_OUT else set()
            failures = 0
        if failures == TRIES:
            raise UserError(
                f"data.demo.clips.{split} needs {count:,} distinct sentences, but the grammar has "
                f"{len(drawn):,}; choose fewer clips"
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
    """Return ``clips[split]`` planned dialogues per split.

    ``turns`` are the shares of dialogues with one turn, two turns and so on. ``tag_rate`` is the probability
    that a turn has a nonverbal of ``tags``, ``style_rate`` that it is activated or calm. Raises
    :class:`UserError` as :func:`draw_sentences` does.
    """
    planned = []
    for split in (name for name in SPLITS if name in clips):
        sizes = draw_turn_counts(split, clips[split], turns, seed)
        rng, strength = random.Random(f"clips {split} {seed}"), random.Random(f"strengths {split} {seed}")
        pool = iter(draw_sentences(split, sum(sizes), seed))
        for index, size in enumerate(sizes):
            turns_of_clip = [
                draw_turn(1 + number % 2, next(pool), tags, tag_rate, rng) for number in range(size)
            ]
            styles = tuple(
                rng.choice(STYLES[1:]) if rng.random() < style_rate else "plain" for _ in turns_of_clip
            )
            strengths = tuple(draw_strength(strength) for _ in turns_of_clip)
            voices = tuple(VOICES[turn.speaker - 1] for turn in turns_of_clip)
            script = Script(tuple(turns_of_clip))
            planned.append(PlannedClip(f"demo-{split}-{index:05d}", split, script, styles, strengths, voices))
    return planned


def draw_turn_counts(split: str, clips: int, shares: Sequence[float], seed: int) -> list[int]:
    """Return the number of turns of each dialogue of a split."""
    return random.Random(f"turns {split} {seed}").choices(range(1, len(shares) + 1), shares, k=clips)


def draw_strength(rng: random.Random) -> Strength:
    """Return independent strengths of pace, pitch and loudness: much faster may be hardly louder."""
    return Strength(*(round(rng.uniform(0.4, 1.0), 2) for _ in range(3)))


def stated_feeling(sentence: str) -> tuple[float, float] | None:
    """Return the valence and dominance of the feeling that a sentence states, None if it states none."""
    grammar = declaration("data/demo/grammar.yaml")
    match = re.search(grammar["stated"], sentence)
    if match is None:
        return None
    valence, dominance = grammar["feelings"][match.group(1)]
    return float(valence), float(dominance)


def draw_turn(speaker: int, sentence: str, tags: list[str], tag_rate: float, rng: random.Random) -> Turn:
    """Return a turn of a sentence; with probability ``tag_rate`` it has a nonverbal between clauses."""
    clauses = clauses_of(sentence)
    text = " ".join(clauses)
    if not tags or rng.random() >= tag_rate:
        return Turn(speaker, text)
    boundaries = [len(" ".join(clauses[:count])) + 1 for count in range(1, len(clauses))]
    char = rng.choice([0, *boundaries, len(text)])
    return Turn(speaker, text, (Nonverbal(rng.choice(tags), char),))
