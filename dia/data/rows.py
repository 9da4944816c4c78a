"""What one row of a prepared data set holds; the schema of the design, as Hugging Face `Features`.

Times are in seconds, valence, arousal and dominance in -1..1, codes are (frames, channels). Every label carries its
origin. A turn whose sound has no true emotion label has none (null), not a neutral one.
"""

import hashlib
from typing import Any

import numpy as np
import torch
from datasets import Audio, Features, List, Value

from dia.audio.codec import Codec, pad_to_frames
from dia.audio.files import flac_bytes, resample

EMOTION = {
    "label": Value("string"), "intensity": Value("float32"), "valence": Value("float32"), "arousal": Value("float32"),
    "dominance": Value("float32"), "origin": Value("string"),
}  # fmt: skip
TURN = {
    "speaker": Value("int32"), "text": Value("string"), "start": Value("float32"), "end": Value("float32"),
    "emotion": EMOTION,
}  # fmt: skip
NONVERBAL = {
    "tag": Value("string"), "turn": Value("int32"), "char": Value("int32"), "start": Value("float32"),
    "end": Value("float32"), "confidence": Value("float32"), "origin": Value("string"),
}  # fmt: skip
FEATURES = Features(
    {
        "id": Value("string"), "source": Value("string"), "split": Value("string"), "licence": Value("string"),
        "commercial_ok": Value("bool"), "script": Value("string"), "turns": List(TURN), "nonverbals": List(NONVERBAL),
        "codes": List(List(Value("uint16"))), "frames": Value("int32"), "seconds": Value("float32"),
        "codec": Value("string"), "quality": {"peak": Value("float32"), "rms_db": Value("float32")},
        "audio_sha256": Value("string"), "audio": {"bytes": Value("binary"), "path": Value("string")},
    }
)  # fmt: skip

AUDIO = Audio(decode=False)  # what `audio` becomes once written: `datasets` would need torchcodec to take it as Audio


def finish_row(row: dict[str, Any], codec: Codec | None, sample_rate: int) -> dict[str, Any]:
    """Turn a rendered clip (with ``audio`` samples and ``sample_rate``) into a row of ``FEATURES``.

    The audio is kept as FLAC at ``sample_rate``; codes are made when a codec is given, and empty when not.
    """
    wave = np.clip(resample(row["audio"], row["sample_rate"], sample_rate), -1.0, 1.0)
    stored = flac_bytes(wave, sample_rate)
    codes_TC = tokenize(wave, sample_rate, codec) if codec else np.zeros((0, 0), dtype=np.uint16)
    kept = {key: value for key, value in row.items() if key != "sample_rate"}
    return kept | {
        "codes": codes_TC.tolist(),
        "frames": len(codes_TC),
        "seconds": len(wave) / sample_rate,
        "codec": codec.name if codec else "none",
        "quality": {
            "peak": float(np.abs(wave).max()),
            "rms_db": float(20 * np.log10(np.sqrt(np.mean(wave**2)) + 1e-9)),
        },
        "audio_sha256": hashlib.sha256(stored).hexdigest(),
        "audio": {"bytes": stored, "path": f"{row['id']}.flac"},
    }


def tokenize(wave: np.ndarray, sample_rate: int, codec: Codec) -> np.ndarray:
    """Return the codes (frames, channels) of a mono wave, uint16; the last frame is filled with silence."""
    wave_BL = torch.from_numpy(resample(wave, sample_rate, codec.sample_rate)).float()[None]
    codes: np.ndarray = codec.encode(pad_to_frames(wave_BL, codec.hop))[0].cpu().numpy().astype(np.uint16)
    return codes
