"""Reference voices and the detector's calibration, from the recordings of the prepared data."""

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

CALIBRATION_CLIPS = 200  # of the training split, in addition to all of validation
VOICE_CLIPS = 60
NO_DATA = "there is no data whose sounds are known; give ckpt=... of a run, or data"


@dataclass(frozen=True)
class CalibrationData:
    """``voices`` show how speakers should sound; ``calibration`` is computed from ``clips`` recordings.

    The calibration is empty where ``missing`` gives a reason.
    """

    voices: tuple[Recording, ...]
    calibration: Mapping[str, Calibration]
    missing: str
    clips: int


def load_calibration_data(splits: Mapping[str, Dataset] | None, cache: ContentCache) -> CalibrationData:
    """Load voices and calibration from the validation split and the first clips of the training split."""
    rows = [] if splits is None else [*splits["validation"], *_first(splits["train"], CALIBRATION_CLIPS)]
    recordings = [ground_truth(row) for row in rows if row["audio"]["bytes"] is not None]
    voices = tuple(recording for recording in recordings if recording.turn_times)[:VOICE_CLIPS]
    if not recordings:
        return CalibrationData(voices, {}, NO_DATA, 0)
    try:
        detector = EventDetector()
    except JudgeUnavailable as missing:
        return CalibrationData(voices, {}, str(missing), len(recordings))
    scores = [
        cache.get_or_compute(_key(detector, recording), partial(detector.scores, recording))
        for recording in recordings
    ]
    tags = [recording.script_tags for recording in recordings]
    return CalibrationData(voices, calibrate(scores, tags), "", len(recordings))


def _key(detector: EventDetector, recording: Recording) -> str:
    known = [str(detector.provenance), detector.declared["tags"], recording.fingerprint]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _first(split: Dataset, count: int) -> list[dict[str, Any]]:
    return list(split.select(range(min(count, len(split)))))
