"""Quality of a clip of a recording by the outputs of the models: noise, clipping, MOS, agreement of words.

Times are seconds from the beginning of the recording.
"""

import numpy as np
from numpy.typing import NDArray

from dia.data.recordings.decisions import FRAME_SECONDS
from dia.data.recordings.stage_cache import Arrays
from dia.data.recordings.stages import MOS_SECONDS
from dia.judges.words import agreement


def clip_quality(outputs: dict[str, Arrays], begin: float, end: float, speech: float) -> dict[str, float]:
    """Return the figures of the part from ``begin`` to ``end``; those that have no value are missing.

    ``speech`` is the probability from which a frame counts as speech.
    """
    quality = {"snr_db": _snr(outputs, begin, end, speech)}
    clipped = outputs["quality"]["clipped"][int(begin) : int(end) + 1]
    quality["clipped"] = float(clipped.mean()) if len(clipped) else 0.0
    mos = outputs["quality"]["mos"][int(begin / MOS_SECONDS) : int(end / MOS_SECONDS) + 1].astype(np.float64)
    if np.isfinite(mos).any():
        quality["mos"] = float(np.nanmean(mos))
    if (agreed := _agreement(outputs, begin, end)) is not None:
        quality["agreement"] = agreed
    return quality


def _snr(outputs: dict[str, Arrays], begin: float, end: float, speech: float) -> float:
    """Mean power of speech above the recording's noise floor (10th percentile of all frames), in decibels."""
    energy = outputs["prosody"]["energy"].astype(np.float64)
    probability = outputs["speech"]["probability"].astype(np.float32)
    frames = np.minimum((np.arange(len(energy)) * 0.01 / FRAME_SECONDS).astype(int), len(probability) - 1)
    inside = np.zeros(len(energy), dtype=bool)
    inside[int(begin * 100) : int(end * 100)] = True
    speech_frames = inside & (probability[frames] >= speech)
    floor = float(np.percentile(energy, 10))
    power = np.power(10.0, energy[speech_frames if speech_frames.any() else inside] / 10)
    return float(10 * np.log10(power.mean() + 1e-10)) - floor


def _agreement(outputs: dict[str, Arrays], begin: float, end: float) -> float | None:
    """Mean confidence of a clip's words, or the share on which two recognisers agree; None without words."""
    words = outputs["words"]
    inside = _inside(words, begin, end)
    if not inside.any():
        return None
    if "second_words" not in outputs:
        return float(words["probability"][inside].mean())
    second = outputs["second_words"]
    return agreement(_text(words, inside), _text(second, _inside(second, begin, end)))


def _inside(words: Arrays, begin: float, end: float) -> NDArray[np.bool_]:
    return (words["start"].astype(np.float32) >= begin) & (words["end"].astype(np.float32) <= end)


def _text(words: Arrays, inside: NDArray[np.bool_]) -> str:
    return "".join(str(word) for word in words["text"][inside])
