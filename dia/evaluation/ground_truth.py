"""The recording of a row of a prepared data set, and its language."""

from functools import cache
from typing import Any

from dia.audio.files import waveform_from_bytes
from dia.config.data import corpora
from dia.data.sources.declaration import read_declaration
from dia.dialogue import Script
from dia.judges.recording import ENGLISH, Recording

REFERENCE = "ground truth"


def ground_truth(row: dict[str, Any]) -> Recording:
    """Return the recording of a row that stores its audio, with turn times if all of them are known."""
    waveform, rate = waveform_from_bytes(row["audio"]["bytes"])
    times = [(turn["start"], turn["end"]) for turn in row["turns"]]
    if any(None in pair for pair in times):
        times = [(0.0, len(waveform) / rate)] if len(times) == 1 else []
    script = Script.parse(str(row["script"]))
    return Recording(
        str(row["id"]),
        REFERENCE,
        script,
        waveform,
        rate,
        turn_times=tuple(times) or None,
        language=language_of(str(row.get("source", ""))),
    )


@cache
def language_of(source: str) -> str:
    """Return the language that a shipped corpus declares, English for sources that declare none."""
    return read_declaration(source).language if source in corpora() else ENGLISH
