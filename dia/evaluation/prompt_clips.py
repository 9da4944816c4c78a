"""Voice prompts from the data: another clip of the same voices, as in training with `labels.voice_prompt`."""

from collections.abc import Mapping, Sequence
from typing import Any

from dia.data.labels import partner_keys

BEST_SECONDS = 5.0  # long enough for a voice, and short enough to leave room for the script
Rows = Sequence[Mapping[str, Any]]


def has_many_voices(rows: Rows) -> bool:
    """Return whether a speaker number stands for several voices, so that a script does not say who speaks."""
    names: dict[int, set[str]] = {}
    for row in rows:
        for turn in row["turns"]:
            names.setdefault(turn["speaker"], set()).add(turn["voice"])
    return any(len(known - {""}) > 1 for known in names.values())


def prompt_clips(rows: Rows) -> dict[int, int]:
    """Return for each row the row of its voice prompt, without rows whose voices no other row has.

    It has the same voices and no nonverbal, if there is such a clip, and is the nearest to five seconds.
    """
    alike: dict[object, list[int]] = {}
    keys = partner_keys(rows, emotions=False)
    for place, key in enumerate(keys):
        if key is not None:
            alike.setdefault(key, []).append(place)
    chosen = {}
    for place, key in enumerate(keys):
        others = [other for other in alike.get(key, []) if other != place]
        if others:
            chosen[place] = min(others, key=lambda other: _fitness(rows[other]))
    return chosen


def _fitness(row: Mapping[str, Any]) -> tuple[bool, float]:
    """Return a sort key: the clip that suits best as a voice prompt has the least."""
    ends = [turn["end"] or 0.0 for turn in row["turns"]]
    return bool(row["nonverbals"]), abs(max(ends, default=0.0) - BEST_SECONDS)
