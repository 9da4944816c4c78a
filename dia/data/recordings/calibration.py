"""Event thresholds chosen on clips whose nonverbals are known, tag by tag."""

import logging
from pathlib import Path

import numpy as np

from dia.audio.files import waveform_from_bytes
from dia.data.prepared import open_prepared
from dia.dialogue import Script
from dia.errors import UserError
from dia.judges.events import EventDetector, calibrate
from dia.judges.recording import Recording

log = logging.getLogger(__name__)


def calibrated_limits(folder: str) -> dict[str, float]:
    """Return the threshold of each tag that the detector can tell apart, on all splits of a prepared data
    set.

    A tag that it cannot (sensitivity + specificity - 1 below .5 on clips held out from the choice) gets none
    and is never found; a warning says so. Raises :class:`UserError` when there are no such clips, or they
    have no sound.
    """
    detector = EventDetector()
    scores, asked = [], []
    for rows in open_prepared(Path(folder)).values():
        for row in rows.select_columns(["id", "audio", "nonverbals"]):
            if row["audio"]["bytes"] is None:
                raise UserError(
                    f"{folder} was prepared without its sound; calibrate on one with data.keep_audio=true"
                )
            wave, rate = waveform_from_bytes(row["audio"]["bytes"])
            scores.append(detector.scores(Recording(row["id"], "", Script(()), np.asarray(wave), rate)))
            asked.append({sound["tag"] for sound in row["nonverbals"]})
    calibrated = calibrate(scores, asked)
    for tag, found in calibrated.items():
        if not found.measurable:
            log.warning("(%s) cannot be told apart by %s; it is never found", tag, detector.provenance.model)
    limits = {tag: found.threshold for tag, found in calibrated.items() if found.measurable}
    if not limits:
        raise UserError(
            f"no tag can be told apart on {folder}; calibrate on clips with and without each tag, 3 or more of each"
        )
    return limits
