"""The schema of a prepared data set as Hugging Face `Features`, and the conversion of a clip to a row.

Times are in seconds, valence, arousal and dominance in -1..1, codes are (frames, channels). Every label has
its origin and confidence. A turn without emotion labels has an empty list, not a neutral emotion.
"""

import hashlib
from dataclasses import asdict
from typing import Any

import numpy as np
from datasets import Audio, Features, List, Value
from numpy.typing import NDArray

from dia.audio.files import flac_bytes
from dia.data.clip import Clip, script_of
from dia.types import Waveform

EMOTION = {
    "label": Value("string"),
    "intensity": Value("float32"),
    "valence": Value("float32"),
    "arousal": Value("float32"),
    "dominance": Value("float32"),
    "origin": Value("string"),
    "confidence": Value("float32"),
}
TURN = {
    "speaker": Value("int32"),
    "voice": Value("string"),
    "text": Value("string"),
    "start": Value("float32"),
    "end": Value("float32"),
    "emotions": List(EMOTION),
}
NONVERBAL = {
    "tag": Value("string"),
    "turn": Value("int32"),
    "char": Value("int32"),
    "start": Value("float32"),
    "end": Value("float32"),
    "confidence": Value("float32"),
    "origin": Value("string"),
}
QUALITY = ("peak", "rms_db", "snr_db", "clipped", "mos", "agreement")
FEATURES = Features(
    {
        "id": Value("string"),
        "source": Value("string"),
        "split": Value("string"),
        "licence": Value("string"),
        "commercial_ok": Value("bool"),
        "script": Value("string"),
        "turns": List(TURN),
        "nonverbals": List(NONVERBAL),
        "codes": List(List(Value("uint16"))),
        "frames": Value("int32"),
        "seconds": Value("float32"),
        "codec": Value("string"),
        "quality": {name: Value("float32") for name in QUALITY},
        "audio_sha256": Value("string"),
        "audio": Audio(decode=False),
    }
)


def row_of(
    clip: Clip, split: str, codes_TC: NDArray[np.uint16], codec: str, sample_rate: int, keep_audio: bool
) -> dict[str, Any]:
    """Return a clip, whose sample rate is ``sample_rate``, as a row of ``FEATURES``.

    The audio is stored as FLAC, or only its SHA-256 if ``keep_audio`` is false.
    """
    waveform = np.clip(clip.waveform, -1.0, 1.0)
    stored = flac_bytes(waveform, sample_rate)
    turns = [asdict(turn) for turn in clip.turns]
    nonverbals = [asdict(nonverbal) for nonverbal in clip.nonverbals]
    return {
        "id": clip.id,
        "source": clip.source,
        "split": split,
        "licence": clip.licence,
        "commercial_ok": clip.commercial_ok,
        "script": script_of(turns, nonverbals).render(),
        "turns": turns,
        "nonverbals": nonverbals,
        "codes": codes_TC.tolist(),
        "frames": len(codes_TC),
        "seconds": clip.seconds,
        "codec": codec,
        "quality": dict.fromkeys(QUALITY) | levels(waveform) | clip.quality,
        "audio_sha256": hashlib.sha256(stored).hexdigest(),
        "audio": {"bytes": stored if keep_audio else None, "path": f"{clip.id}.flac"},
    }


def levels(waveform: Waveform) -> dict[str, float]:
    """Return the peak (0..1) and the root mean square level in dBFS."""
    return {
        "peak": float(np.abs(waveform).max(initial=0)),
        "rms_db": float(20 * np.log10(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))) + 1e-9)),
    }
