"""Cache of model outputs per recording, keyed by the SHA-256 of the recording and the identity of the model.

A stage computes probabilities, scores and embeddings over time and decides nothing; see `decisions.py`.
Arrays are stored in one .npz file per recording and stage, written atomically; a damaged file is computed
again.
"""

import hashlib
import json
import logging
import zipfile
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dia.files import atomic_write, make_folder
from dia.types import Waveform

logger = logging.getLogger(__name__)
SAMPLE_RATE = 16_000  # hertz of the input of all models
Arrays = dict[str, NDArray[np.generic]]


class Stage(Protocol):
    """One model. ``identity`` contains everything its output depends on except the audio."""

    name: str

    @property
    def identity(self) -> dict[str, str]:
        """Model, version and settings."""
        ...

    def measure(self, waveform: Waveform) -> Arrays:
        """Return the model's output for a mono waveform at 16 kHz."""
        ...


def measure_cached(stage: Stage, waveform: Waveform, sha256: str, folder: Path) -> Arrays:
    """Return the output of a stage for a recording, from the cache in ``folder`` if present."""
    path = folder / f"{stage.name}-{_digest(stage)}" / sha256[:2] / f"{sha256}.npz"
    if (cached := _read(path)) is not None:
        return cached
    output = stage.measure(waveform)
    make_folder(path.parent)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **output)  # type: ignore[arg-type]  # numpy's stub takes names for options
    return output


def _read(path: Path) -> Arrays | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        logger.warning("%s is damaged (%s); it is computed again", path, error)
        return None


def _digest(stage: Stage) -> str:
    return hashlib.sha256(json.dumps(stage.identity, sort_keys=True).encode()).hexdigest()[:10]
