"""Render labels as model text, and derive sampling weights from labels.

Stored labels do not change. Nonverbals appear in the text as ``(laughs)`` or not at all. The emotion of a
turn appears before its words as ``{happy}`` (`prefix`), in the audio of a preceding clip by the same voices
(`prompt`), or not at all.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
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
    """Return the model text of a row, rendered according to ``config``; ``rng`` decides label dropout."""
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
    """Return the emotion of a turn as one word, "" if unknown.

    This is the category with the highest confidence, or else `activated` or `calm` according to its arousal.
    """
    named = [emotion for emotion in emotions if emotion["label"]]
    if named:
        return str(max(named, key=_confidence)["label"])
    with_arousal = [emotion for emotion in emotions if emotion["arousal"] is not None]
    if not with_arousal:
        return ""
    arousal = float(max(with_arousal, key=_confidence)["arousal"])
    return "activated" if arousal >= AROUSED else "calm" if arousal <= -AROUSED else ""


def _confidence(emotion: dict[str, Any]) -> float:
    """The confidence of a label; 1 for human labels, which have none."""
    return 1.0 if emotion["confidence"] is None else float(emotion["confidence"])


def sampling_weights(rows: Iterable[dict[str, Any]], config: LabelsConfig) -> NDArray[np.float64]:
    """Return sampling weights (clips,) of mean 1 from the ``turns`` and ``nonverbals`` of all rows.

    A clip is weighted by its rarest label, (highest count / own count) ** balance; then clips with nonverbals
    are scaled to ``config.tagged_share`` of the samples.
    """
    tags, labels = [], []
    for row in rows:
        tags.append({sound["tag"] for sound in row["nonverbals"]})
        labels.append(
            {f"({tag})" for tag in tags[-1]}
            | {emotion_name(turn["emotions"]) for turn in row["turns"]} - {""}
        )
    counts = Counter(label for clip_labels in labels for label in clip_labels)
    highest = max(counts.values(), default=1)
    weights = np.array(
        [
            max(((highest / counts[label]) ** config.balance for label in clip_labels), default=1.0)
            for clip_labels in labels
        ]
    )
    tagged = np.array([bool(clip_tags) for clip_tags in tags])
    if (
        config.tagged_share is not None
        and config.nonverbals == "inline"
        and tagged.any()
        and not tagged.all()
    ):
        weights[tagged] *= config.tagged_share / weights[tagged].sum()
        weights[~tagged] *= (1 - config.tagged_share) / weights[~tagged].sum()
    weights /= weights.mean()
    return weights


def partner_keys(rows: Iterable[Mapping[str, Any]], emotions: bool) -> list[tuple[Any, ...] | None]:
    """Return for each row what its prompt clip must share: the voice of each speaker and, with ``emotions``,
    the emotions; None if a voice is unknown."""
    keys: list[tuple[Any, ...] | None] = []
    for row in rows:
        voices = {
            (turn["speaker"], turn["voice"], emotion_name(turn["emotions"]) if emotions else "")
            for turn in row["turns"]
        }
        known = all(voice for _, voice, _ in voices)
        keys.append(tuple(sorted(voices)) if known and voices else None)
    return keys
