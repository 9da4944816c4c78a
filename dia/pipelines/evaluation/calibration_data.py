"""Recordings whose voices and sounds are known: what voices are told by, and what the detector of sounds is
calibrated on.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from datasets import Dataset

from dia.evaluation.cache import ContentCache
from dia.evaluation.ground_truth import ground_truth
from dia.judges.events import Calibration, EventDetector, calibrate
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable

CALIBRATION_CLIPS = 200  # of the training split, beside all of validation
VOICE_CLIPS = 60
NO_DATA = "there is no data whose sounds are known; give ckpt=... of a run, or data"


@dataclass(frozen=True)
class Labelled:
    """``voices`` tell how speakers should sound; ``calibration``, of so many ``clips``, is empty where
    ``missing`` says why.
    """

    voices: tuple[Recording, ...]
    calibration: Mapping[str, Calibration]
    missing: str
    clips: int


def load_calibration_data(splits: Mapping[str, Dataset] | None, kept: ContentCache) -> Labelled:
    """Return what the validation split and the first of the training split tell; clips whose sound was not
    kept tell nothing.
    """
    rows = [] if splits is None else [*splits["validation"], *_first(splits["train"], CALIBRATION_CLIPS)]
    found = [ground_truth(row) for row in rows if row["audio"]["bytes"] is not None]
    voices = tuple(recording for recording in found if recording.turn_times)[:VOICE_CLIPS]
    if not found:
        return Labelled(voices, {}, NO_DATA, 0)
    try:
        detector = EventDetector()
    except JudgeUnavailable as missing:
        return Labelled(voices, {}, str(missing), len(found))
    scores = [
        kept.values(_key(detector, recording), partial(detector.scores, recording)) for recording in found
    ]
    return Labelled(voices, calibrate(scores, [recording.script_tags for recording in found]), "", len(found))


def _key(detector: EventDetector, recording: Recording) -> str:
    known = [str(detector.provenance), detector.declared["tags"], recording.fingerprint]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _first(split: Dataset, count: int) -> list[dict[str, Any]]:
    return list(split.select(range(min(count, len(split)))))
