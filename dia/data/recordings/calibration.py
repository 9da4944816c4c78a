"""Calibrate the event thresholds of each tag on clips with known nonverbals."""

import logging
from pathlib import Path

import numpy as np

from dia.audio.files import waveform_from_bytes
from dia.data.prepared import open_prepared
from dia.dialogue import Script
from dia.errors import UserError
from dia.judges.events import EventDetector, calibrate
from dia.judges.recording import Recording

logger = logging.getLogger(__name__)


def calibrated_thresholds(folder: str) -> dict[str, float]:
    """Return the threshold of each detectable tag, calibrated on all splits of the data set in ``folder``.

    Tags that the detector does not certainly distinguish (:attr:`dia.judges.events.Calibration.measurable`)
    get no threshold and are never detected; a warning names them. Raises :class:`UserError` when the data set
    has no detectable tag or no audio.
    """
    detector = EventDetector()
    scores, labels = [], []
    for rows in open_prepared(Path(folder)).values():
        for row in rows.select_columns(["id", "audio", "nonverbals"]):
            if row["audio"]["bytes"] is None:
                raise UserError(
                    f"{folder} was prepared without audio; calibrate on a data set with data.keep_audio=true"
                )
            waveform, rate = waveform_from_bytes(row["audio"]["bytes"])
            scores.append(detector.scores(Recording(row["id"], "", Script(()), np.asarray(waveform), rate)))
            labels.append({item["tag"] for item in row["nonverbals"]})
    calibrations = calibrate(scores, labels)
    for tag, item in calibrations.items():
        if not item.measurable:
            logger.warning("%s cannot distinguish (%s); it is never detected", detector.provenance.model, tag)
    thresholds = {tag: item.threshold for tag, item in calibrations.items() if item.measurable}
    if not thresholds:
        raise UserError(
            f"no tag can be distinguished on {folder}; use at least 10 clips with and 10 without each tag"
        )
    return thresholds
