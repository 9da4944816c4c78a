"""How labels reach the model: what a recipe makes of the turns and labels of a row, and how often a clip is
drawn.

The stored labels stay as they are. Nonverbals stand in the text as ``(laughs)`` or not at all; how a turn is
spoken stands before its words as ``{happy}`` (`prefix`), or is heard in a clip of the same voices that goes
before (`prompt`), or is not said.
"""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dia.config.data import LabelsConfig
from dia.data.clip import script_of
from dia.dialogue import Script

AROUSED = (
    0.33  # arousal beyond which a turn without a category is called activated, or calm below its negative
)


def text_of(row: dict[str, Any], config: LabelsConfig, rng: random.Random) -> str:
    """Return the text that a model reads for a row, as the recipe wants its labels; ``rng`` decides what is
    left out.
    """
    script = script_of(row["turns"], row["nonverbals"] if config.nonverbals == "inline" else [])
    if config.emotion != "prefix":
        return script.render()
    turns = []
    for turn, labelled in zip(script.turns, row["turns"], strict=True):
        label = emotion_name(labelled["emotions"])
        keep = rng.random() >= config.emotion_dropout
        turns.append(replace(turn, emotion=label) if label and keep else turn)
    return Script(tuple(turns)).render()


def emotion_name(emotions: list[dict[str, Any]]) -> str:
    """Return the one word for how a turn is spoken: the surest category, else what its arousal says, else
    nothing.
    """
    named = [emotion for emotion in emotions if emotion["label"]]
    if named:
        return str(max(named, key=_confidence)["label"])
    aroused = [emotion for emotion in emotions if emotion["arousal"] is not None]
    if not aroused:
        return ""
    arousal = float(max(aroused, key=_confidence)["arousal"])
    return "activated" if arousal >= AROUSED else "calm" if arousal <= -AROUSED else ""


def _confidence(emotion: dict[str, Any]) -> float:
    """How sure a label is; a human's without a number counts as sure."""
    return 1.0 if emotion["confidence"] is None else float(emotion["confidence"])


def sampling_weights(rows: Iterable[dict[str, Any]], config: LabelsConfig) -> NDArray[np.float64]:
    """Return how often each clip is drawn against the others (mean 1), from ``turns`` and ``nonverbals`` of
    all rows.
    """
    tags, labels = [], []
    for row in rows:
        tags.append({sound["tag"] for sound in row["nonverbals"]})
        labels.append(
            {f"({tag})" for tag in tags[-1]}
            | {emotion_name(turn["emotions"]) for turn in row["turns"]} - {""}
        )
    counts = Counter(label for found in labels for label in found)
    commonest = max(counts.values(), default=1)
    weights = np.array(
        [
            max(((commonest / counts[label]) ** config.balance for label in found), default=1.0)
            for found in labels
        ]
    )
    tagged = np.array([bool(found) for found in tags])
    if (
        config.tagged_share is not None
        and config.nonverbals == "inline"
        and tagged.any()
        and not tagged.all()
    ):
        weights[tagged] *= config.tagged_share / weights[tagged].sum()
        weights[~tagged] *= (1 - config.tagged_share) / weights[~tagged].sum()
    return weights / weights.mean()


def partner_keys(rows: Iterable[dict[str, Any]]) -> list[tuple[Any, ...] | None]:
    """Return for each row what a clip before it must share: voices by speaker, and emotions by voice; None
    without voices.
    """
    keys: list[tuple[Any, ...] | None] = []
    for row in rows:
        spoken = {(turn["speaker"], turn["voice"], emotion_name(turn["emotions"])) for turn in row["turns"]}
        known = all(voice for _, voice, _ in spoken)
        keys.append(tuple(sorted(spoken)) if known and spoken else None)
    return keys


def joined_text(before: str, text: str) -> str:
    """Return two scripts as one; where the same speaker goes on, the turn goes on."""
    first, second = Script.parse(before), Script.parse(text)
    last, following = first.turns[-1], second.turns[0]
    if last.speaker != following.speaker:
        return Script((*first.turns, *second.turns)).render()
    offset = len(last.text) + 1 if last.text and following.text else len(last.text)
    moved = tuple(replace(sound, char=sound.char + offset) for sound in following.nonverbals)
    both = replace(last, text=f"{last.text} {following.text}".strip(), nonverbals=(*last.nonverbals, *moved))
    return Script((*first.turns[:-1], both, *second.turns[1:])).render()
