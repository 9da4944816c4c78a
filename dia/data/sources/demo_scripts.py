"""Scripts of the demo corpus: sentences from a grammar (data/demo/grammar.yaml), dialogues of them, by split.

Every sentence belongs to one split only, so that a test script was never heard in training. Everything is a pure
function of the seed.
"""

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


@dataclass(frozen=True)
class PlannedClip:
    """A clip to be spoken: id, split, script, and of each turn the speaking style (one of ``STYLES``) and its strength."""

    id: str
    split: str
    script: Script
    styles: tuple[str, ...]
    strengths: tuple[Strength, ...]


def fill(template: str, slots: dict[str, list[str]], chance: random.Random) -> str:
    """Return the template with each slot filled; a word is not used twice in one sentence, the first is capital."""
    used: set[str] = set()

    def choose(match: re.Match[str]) -> str:
        word = chance.choice([word for word in slots[match.group(1)] if word not in used])
        used.add(word)
        return word

    sentence = SLOT.sub(choose, template)
    return sentence[0].upper() + sentence[1:]


def split_sentences(counts: dict[str, int], seed: int) -> dict[str, list[str]]:
    """Return so many distinct sentences for each split, no sentence in two splits.

    Raises :class:`UserError` when the grammar cannot give that many distinct sentences.
    """
    grammar = declaration("data/demo/grammar.yaml")
    chance = random.Random(f"sentences {seed}")
    wanted, sentences = sum(counts.values()), dict[str, None]()
    for _ in range(50 * wanted):
        if len(sentences) == wanted:
            break
        sentences[fill(chance.choice(grammar["sentences"]), grammar["slots"], chance)] = None
    if len(sentences) < wanted:
        raise UserError(
            f"data.demo.clips asks for {wanted:,} sentences, the grammar gave {len(sentences):,}; ask for fewer clips"
        )
    pool = iter(sentences)
    # the small splits draw first, so that the test set stays the same when the training set grows
    return {split: [next(pool) for _ in range(counts[split])] for split in reversed(SPLITS) if split in counts}


def plan_clips(
    clips: dict[str, int], turns: Sequence[float], tags: list[str], tag_rate: float, style_rate: float, seed: int
) -> list[PlannedClip]:
    """Plan ``clips[split]`` dialogues per split; ``turns`` are the shares of those with one turn, two turns and so on.

    ``tag_rate`` is the probability that a turn carries one nonverbal of ``tags``; ``style_rate`` that a turn is spoken
    activated or calm. Raises :class:`UserError` as :func:`split_sentences` does.
    """
    splits = [name for name in SPLITS if name in clips]
    sizes = {split: _turn_counts(split, clips[split], turns, seed) for split in splits}
    sentences = split_sentences({split: sum(found) for split, found in sizes.items()}, seed)
    planned = []
    for split in splits:
        chance, strength = random.Random(f"clips {split} {seed}"), random.Random(f"strengths {split} {seed}")
        pool = iter(sentences[split])
        for index, size in enumerate(sizes[split]):
            spoken = [_turn(1 + number % 2, next(pool), tags, tag_rate, chance) for number in range(size)]
            styles = tuple(chance.choice(STYLES[1:]) if chance.random() < style_rate else "plain" for _ in spoken)
            strengths = tuple(_strength(strength) for _ in spoken)
            planned.append(PlannedClip(f"demo-{split}-{index:05d}", split, Script(tuple(spoken)), styles, strengths))
    return planned


def _turn_counts(split: str, clips: int, shares: Sequence[float], seed: int) -> list[int]:
    """How many turns each dialogue of a split has."""
    return random.Random(f"turns {split} {seed}").choices(range(1, len(shares) + 1), shares, k=clips)


def _strength(chance: random.Random) -> Strength:
    """Pace, pitch and loudness each go their own way: a turn may be fast and hardly louder, or loud and hardly faster."""
    return Strength(*(round(chance.uniform(0.4, 1.0), 2) for _ in range(3)))


def stated_feeling(sentence: str) -> tuple[float, float] | None:
    """Return the valence and dominance of what a speaker says to feel, None where nothing of the kind is said."""
    grammar = declaration("data/demo/grammar.yaml")
    match = re.search(grammar["stated"], sentence)
    if match is None:
        return None
    valence, dominance = grammar["feelings"][match.group(1)]
    return float(valence), float(dominance)


def _turn(speaker: int, sentence: str, tags: list[str], tag_rate: float, chance: random.Random) -> Turn:
    clauses = [clause.strip() for clause in sentence.split(BOUNDARY)]
    text = " ".join(clauses)
    if not tags or chance.random() >= tag_rate:
        return Turn(speaker, text)
    boundaries = [len(" ".join(clauses[:count])) + 1 for count in range(1, len(clauses))]
    char = chance.choice([0, *boundaries, len(text)])
    return Turn(speaker, text, (Nonverbal(chance.choice(tags), char),))
