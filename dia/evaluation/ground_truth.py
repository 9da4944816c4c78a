"""The recording that a row of a prepared data set is."""

from typing import Any

from dia.audio.files import waveform_from_bytes
from dia.dialogue import Script
from dia.judges.recording import Recording

REFERENCE = "ground truth"


def ground_truth(row: dict[str, Any]) -> Recording:
    """Return a row's own recording, with its turn times if all are known; its sound must have been kept."""
    wave, rate = waveform_from_bytes(row["audio"]["bytes"])
    times = [(turn["start"], turn["end"]) for turn in row["turns"]]
    if any(None in pair for pair in times):
        times = [(0.0, len(wave) / rate)] if len(times) == 1 else []
    known = tuple(times) or None
    return Recording(
        str(row["id"]), REFERENCE, Script.parse(str(row["script"])), wave, rate, turn_times=known
    )
