"""The files of a folder of recordings, and the split of each."""

from collections import Counter
from pathlib import Path

from dia.audio.formats import READABLE, UNREADABLE
from dia.data.sources.held_out import position
from dia.errors import UserError


def list_recordings(folder: Path) -> list[Path]:
    """Return the audio files below a folder, sorted.

    A file whose format cannot be read is listed too, so that it is reported, unless a converted copy lies
    beside it. Raises :class:`UserError` when there is no file that can be read.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in READABLE + UNREADABLE)
    converted = {path.with_suffix("") for path in paths if is_readable(path.name)}
    if not converted:
        counts = Counter(path.suffix.lower() for path in paths)
        listed = ", ".join(f"{count} {ending}" for ending, count in counts.most_common())
        raise UserError(
            f"{folder} contains no audio that can be read ({listed or 'no audio files'}); convert the "
            "recordings: ffmpeg -i INPUT OUTPUT.wav"
        )
    return [path for path in paths if is_readable(path.name) or path.with_suffix("") not in converted]


def is_readable(name: str) -> bool:
    """Return whether a file of this name has a format that can be read."""
    return Path(name).suffix.lower() in READABLE


def assign_splits(names: list[str], shares: dict[str, float]) -> dict[str, str]:
    """Return the split of each recording by the hash of its name.

    Validation is not empty if it has a share and there are at least two recordings.
    """
    splits = {name: _split(position(name), shares) for name in names}
    trained = [name for name in names if splits[name] == next(iter(shares)) and is_readable(name)]
    if "validation" not in splits.values() and shares.get("validation", 0) > 0 and len(trained) > 1:
        splits[min(trained, key=position)] = "validation"
    return splits


def _split(place: float, shares: dict[str, float]) -> str:
    for split, size in shares.items():
        if place < size:
            return split
        place -= size
    return next(iter(shares))
