"""Select the clips of a data set that only certain voices speak."""

from collections import Counter
from collections.abc import Mapping

from datasets import Dataset

from dia.errors import UserError

TRAINING_COLUMNS = ("id", "script", "turns", "nonverbals", "codes", "frames")
SHOWN_VOICES = 10


def select_voices(splits: Mapping[str, Dataset], voices: list[str]) -> dict[str, Dataset]:
    """Return the training and validation splits reduced to the clips of ``voices``."""
    return {split: rows_of_voices(splits[split], voices, split) for split in ("train", "validation")}


def rows_of_voices(rows: Dataset, voices: list[str], split: str) -> Dataset:
    """Return the rows in which every turn is spoken by one of ``voices``; without voices all rows.

    The selected rows are held in memory without their audio. Raises :class:`UserError` that lists the voices
    when no row matches.
    """
    if not voices:
        return rows
    voices_by_clip = [{turn["voice"] for turn in turns} for turns in rows.data.column("turns").to_pylist()]
    selected = [index for index, clip in enumerate(voices_by_clip) if clip <= set(voices)]
    if not selected:
        counts = Counter(str(voice) for clip in voices_by_clip for voice in clip)
        listed = ", ".join(f"{voice} ({count})" for voice, count in counts.most_common(SHOWN_VOICES))
        raise UserError(
            f"no clip of the {split} split is spoken only by {', '.join(voices)}; voices and their clips: "
            f"{listed}"
        )
    return rows.select_columns(list(TRAINING_COLUMNS)).select(selected).flatten_indices(keep_in_memory=True)
