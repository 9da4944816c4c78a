"""A prepared data set as a source: its clips with their labels again, for another codec or sample rate."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from datasets import DatasetDict

from dia.audio.files import waveform_from_bytes
from dia.data.clip import Clip, Emotion, LabelledNonverbal, LabelledTurn
from dia.data.length_limits import LengthLimits
from dia.data.prepared import CARD, open_prepared
from dia.data.source import Tally, Unit
from dia.errors import UserError

MEASURED = ("peak", "rms_db")  # of the waveform, when a row is written


@dataclass(frozen=True)
class PreparedSource:
    """The clips of the prepared data set in ``folder``; see :class:`dia.data.source.Source`."""

    folder: str

    def request(self) -> dict[str, Any]:
        """Return the identity of the data set: the checksum of its card, and those of its shards."""
        return {"prepared": _identity(self.folder)}

    def count(self) -> int:
        """Return the number of clips."""
        return sum(len(rows) for rows in _opened(self.folder).values())

    def units(self) -> Iterator[Unit]:
        """Yield the clips of all splits. Raises :class:`UserError` when the data set has no audio."""
        for split, rows in _opened(self.folder).items():
            if len(rows) and rows[0]["audio"]["bytes"] is None:
                raise UserError(
                    f"the data set {self.folder} has no audio (data.keep_audio=false), so that no codec can "
                    "read it; prepare it again with its audio"
                )
            for index, name in enumerate(rows["id"]):
                yield Unit(name, split, (split, index))

    def check(self, limits: LengthLimits) -> None:
        """Do nothing: its labels are this package's already, and lengths are checked clip by clip."""

    def read(self, unit: Unit, tally: Tally) -> list[Clip]:
        """Return the clip, with the audio and the labels that are stored."""
        split, index = unit.content
        return [_clip(_opened(self.folder)[split][index])]


@cache
def _opened(folder: str) -> DatasetDict:
    """The data set, opened once per process. Raises :class:`UserError` when it is missing or damaged."""
    return open_prepared(Path(folder))


@cache
def _identity(folder: str) -> str:
    """SHA-256 of the card and of the reports, which hold the checksums of the shards."""
    _opened(folder)
    root = Path(folder)
    digest = hashlib.sha256()
    for path in [root / CARD, *sorted((root / "reports").rglob("*.json"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _clip(row: Mapping[str, Any]) -> Clip:
    waveform, sample_rate = waveform_from_bytes(row["audio"]["bytes"])
    turns = tuple(
        LabelledTurn(**(turn | {"emotions": tuple(Emotion(**item) for item in turn["emotions"])}))
        for turn in row["turns"]
    )
    quality = {
        name: value for name, value in row["quality"].items() if value is not None and name not in MEASURED
    }
    return Clip(
        row["id"],
        row["source"],
        row["licence"],
        row["commercial_ok"],
        turns,
        tuple(LabelledNonverbal(**item) for item in row["nonverbals"]),
        waveform,
        sample_rate,
        quality,
    )
