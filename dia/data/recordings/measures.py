"""What models hear in a recording, kept by the recording's sha256 and the model's identity, so that each runs
once.

A stage measures and decides nothing: probabilities, scores and embeddings over time, for `decisions.py`.
Arrays lie in an .npz file a recording and stage, written under another name and renamed; a damaged one is
measured again.
"""

import hashlib
import json
import logging
import zipfile
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dia.files import atomic_write
from dia.types import Waveform

log = logging.getLogger(__name__)
SAMPLE_RATE = 16_000  # hertz of what the models hear
Arrays = dict[str, NDArray[np.generic]]


class Stage(Protocol):
    """One model. ``identity`` names everything its answer depends on beside the sound."""

    name: str

    @property
    def identity(self) -> dict[str, str]:
        """Model, version and settings."""
        ...

    def measure(self, waveform: Waveform) -> Arrays:
        """Return what it hears in a mono waveform at 16 kHz."""
        ...


def measured(stage: Stage, waveform: Waveform, sha256: str, folder: Path) -> Arrays:
    """Return a stage's answer for a recording, from the folder when it is there."""
    path = folder / f"{stage.name}-{_digest(stage)}" / sha256[:2] / f"{sha256}.npz"
    if (kept := _read(path)) is not None:
        return kept
    answer = stage.measure(waveform)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **answer)  # type: ignore[arg-type]  # numpy's stub takes the names for options
    return answer


def _read(path: Path) -> Arrays | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        log.warning("%s is damaged (%s); it is measured again", path, error)
        return None


def _digest(stage: Stage) -> str:
    return hashlib.sha256(json.dumps(stage.identity, sort_keys=True).encode()).hexdigest()[:10]
