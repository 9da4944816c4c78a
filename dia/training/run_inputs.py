"""What a run was trained with, recorded in its folder: digests of the prepared data, and the codec.

A run folder may come from someone else, and the paths in its config lead wherever its author wants. With
these digests a path is only a place to look: what lies there is used if it is what the run was trained with.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dia.documents import read_json_object
from dia.files import write_text
from dia.training.checkpointing import CHECKPOINTS, manifests

INPUTS = "inputs.json"


@dataclass(frozen=True)
class RunInputs:
    """The digest of each split of the data (:func:`dia.data.prepared.split_fingerprints`), and the codec.

    ``codec`` is the name or path that opened the codec, ``codec_fingerprint`` identifies it; both are empty
    for a run that has none, or of an earlier version.
    """

    data: dict[str, str] = field(default_factory=dict)
    codec: str = ""
    codec_fingerprint: str = ""


def write_inputs(folder: Path, inputs: RunInputs) -> None:
    """Record what a run is trained with. Raises ``OSError`` as files do."""
    write_text(folder / INPUTS, json.dumps(vars(inputs), indent=1, sort_keys=True) + "\n")


def read_inputs(folder: Path) -> RunInputs:
    """Return what a run was trained with; runs of earlier versions have digests in their checkpoints only."""
    if (content := _read(folder / INPUTS)) is not None:
        codec, fingerprint = (content.get(key) for key in ("codec", "codec_fingerprint"))
        known = isinstance(codec, str) and isinstance(fingerprint, str)
        return RunInputs(_digests(content.get("data")), *((codec, fingerprint) if known else ()))
    for path in reversed(manifests(folder / CHECKPOINTS)):
        facts = (_read(path) or {}).get("facts")
        if isinstance(facts, dict) and (data := _digests(facts.get("data"))):
            return RunInputs(data)
    return RunInputs()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return read_json_object(path)
    except (OSError, ValueError):
        return None


def _digests(content: Any) -> dict[str, str]:
    """Return the digests of the run's own splits; those of data mixed in have another name."""
    if not isinstance(content, dict):
        return {}
    own = {split: digest for split, digest in content.items() if not split.startswith("mix ")}
    return own if all(isinstance(digest, str) for digest in own.values()) else {}
