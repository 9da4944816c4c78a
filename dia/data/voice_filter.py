"""Some clips of a data set: those of certain voices."""

from collections import Counter
from collections.abc import Mapping

from datasets import Dataset

from dia.errors import UserError

READ = ("id", "script", "turns", "nonverbals", "codes", "frames")  # columns that training reads
SHOWN = 10  # voices that are listed


def select_voices(splits: Mapping[str, Dataset], voices: list[str]) -> dict[str, Dataset]:
    """Return what training reads of a data set: its splits for training and validation, as
    :func:`rows_of_voices` does.
    """
    return {split: rows_of_voices(splits[split], voices, split) for split in ("train", "validation")}


def rows_of_voices(rows: Dataset, voices: list[str], split: str) -> Dataset:
    """Return the rows whose every turn one of ``voices`` speaks; without voices all rows.

    What is kept lies in memory, without its sound. Raises :class:`UserError` when nothing is left, listing
    who speaks.
    """
    if not voices:
        return rows
    spoken = [{turn["voice"] for turn in turns} for turns in rows.data.column("turns").to_pylist()]
    kept = [index for index, found in enumerate(spoken) if found <= set(voices)]
    if not kept:
        counts = Counter(str(voice) for found in spoken for voice in found)
        listed = ", ".join(f"{voice} ({count})" for voice, count in counts.most_common(SHOWN))
        raise UserError(
            f"no clip of the {split} split is spoken by {', '.join(voices)} alone; voices and their clips: {listed}"
        )
    return rows.select_columns(list(READ)).select(kept).flatten_indices(keep_in_memory=True)
