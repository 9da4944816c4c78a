"""The waveform of a row: from a path, bytes, an array, an archive, or a Parquet or Arrow file."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dia.audio.files import read_audio_file, waveform_from_bytes
from dia.data.sources.arrow_tables import ArrowCell, audio_cell
from dia.data.sources.audio_paths import ArchiveMember
from dia.errors import UserError
from dia.types import Waveform

ANYWHERE: tuple[Path, ...] = ()


def row_waveform(value: Any, owner: str, roots: Sequence[Path] = ANYWHERE) -> tuple[Waveform, int]:
    """Return the waveform and sample rate of the audio of a row; ``owner`` names the row in errors.

    A path must lie in one of ``roots`` where any are given. Raises :class:`UserError`.
    """
    beside = Path()
    if isinstance(value, ArchiveMember):
        value = value.read()
    elif isinstance(value, ArrowCell):
        beside, value = value.table.parent, audio_cell(value)
    if isinstance(value, dict) and value.get("array") is not None:
        return np.asarray(value["array"], dtype=np.float32), int(value["sampling_rate"])
    content = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(content, bytes):
        return waveform_from_bytes(content)
    path = value.get("path") if isinstance(value, dict) else value
    if not path:
        raise UserError(f"{owner} has no audio")
    path = beside / path
    if roots and not any(path.resolve().is_relative_to(root.resolve()) for root in roots):
        raise UserError(
            f"{owner} names {path}, outside the folder of the data; set data.outside=true if that is intended"
        )
    return _last_file(str(path), path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=1)
def _last_file(path: str, modified: int) -> tuple[Waveform, int]:
    """The waveform of a file. Rows of one long recording follow each other, and it is decoded once."""
    return read_audio_file(path)


def segment(waveform: Waveform, rate: int, start: float | None, end: float | None, owner: str) -> Waveform:
    """Return the part of a waveform from ``start`` to ``end`` in seconds (None: its beginning, its end).

    Raises :class:`UserError` when the part does not lie in the waveform.
    """
    if start is None and end is None:
        return waveform
    seconds = len(waveform) / rate
    first = start or 0.0
    last = seconds if end is None else end
    if not 0 <= first < last <= seconds + 0.1:  # tables round times
        raise UserError(
            f"{owner}: the part from {first:g} to {last:g} s does not lie in the {seconds:.2f} s of its audio"
        )
    return waveform[round(first * rate) : round(last * rate)]
