"""Reference voices and the detector's calibration, from the recordings of the prepared data."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from datasets import Dataset

from dia.errors import UserError
from dia.evaluation.cache import ContentCache
from dia.evaluation.calibration import calibration_of
from dia.evaluation.ground_truth import ground_truth
from dia.evaluation.prompt_clips import has_many_voices
from dia.judges.events import Calibration, calibrate
from dia.judges.recording import Recording
from dia.judges.sound_detectors import SoundDetector, open_detector
from dia.judges.unavailable import JudgeUnavailable

CALIBRATION_CLIPS = 200  # of the training split, in addition to all of validation
VOICE_CLIPS = 60
NO_DATA = "there is no data whose sounds are known; give ckpt=... of a run, or data"


@dataclass(frozen=True)
class CalibrationData:
    """``voices`` show how the data sounds; ``calibration`` is computed from ``clips`` recordings.

    ``speakers`` are those voices that show how [S1] and [S2] should sound: none where a speaker number stands
    for several voices. The calibration is empty where ``missing`` gives a reason.
    """

    voices: tuple[Recording, ...]
    speakers: tuple[Recording, ...]
    calibration: Mapping[str, Calibration]
    missing: str
    clips: int


def load_calibration_data(
    splits: Mapping[str, Dataset] | None, cache: ContentCache, detector_folder: str = ""
) -> CalibrationData:
    """Load voices and calibration from the validation split and the first clips of the training split.

    ``detector_folder`` is that of a trained detector, empty for YAMNet.
    """
    rows = [] if splits is None else _labelled(splits)
    recordings = [ground_truth(row) for row in rows if row["audio"]["bytes"] is not None]
    voices = tuple(recording for recording in recordings if recording.turn_times)[:VOICE_CLIPS]
    speakers = () if has_many_voices(rows) else voices
    if not recordings:
        return CalibrationData(voices, speakers, {}, NO_DATA, 0)
    try:
        detector = open_detector(detector_folder)
    except JudgeUnavailable as missing:
        return CalibrationData(voices, speakers, {}, str(missing), len(recordings))
    scores = [
        cache.get_or_compute(_key(detector, recording), partial(detector.scores, recording))
        for recording in recordings
    ]
    tags = [recording.script_tags for recording in recordings]
    return CalibrationData(voices, speakers, calibrate(scores, tags), "", len(recordings))


def thresholds(
    labelled: CalibrationData, on_people: Mapping[str, Any] | None, detector_folder: str = ""
) -> Mapping[str, Calibration]:
    """Return the calibration that sets the thresholds: ``on_people`` where given, else that of the data.

    Raises:
        UserError: When ``on_people`` was measured with another detector.
    """
    if on_people is None:
        return labelled.calibration
    try:
        present = asdict(open_detector(detector_folder).provenance)
    except JudgeUnavailable:
        return {}  # the metric states the reason
    if on_people["detector"] != present:
        raise UserError(
            "the calibration is of another detector or version than this one; repeat "
            "python -m dia.eval calibrate folder=SOUNDS"
        )
    return calibration_of(on_people)


def _labelled(splits: Mapping[str, Dataset]) -> list[dict[str, Any]]:
    """The rows of validation and the first of training; a data set may have only one of them."""
    rows = list(splits["validation"]) if "validation" in splits else []
    return [*rows, *(_first(splits["train"], CALIBRATION_CLIPS) if "train" in splits else ())]


def _key(detector: SoundDetector, recording: Recording) -> str:
    known = [str(detector.provenance), detector.definition, recording.fingerprint]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _first(split: Dataset, count: int) -> list[dict[str, Any]]:
    return list(split.select(range(min(count, len(split)))))
