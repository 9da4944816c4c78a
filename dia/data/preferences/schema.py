"""The schema of a preference data set: the rows of prepared data, whose clip is the preferred take, and more.

So it is a prepared data set: it opens, previews and publishes like one, and `codes` are those of the
preferred take. The codes of a checkpoint's takes are those that it drew, not an encoding of their audio.
"""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from datasets import Audio, Features, List, Value
from numpy.typing import NDArray

from dia.data.schema import FEATURES

CODES = List(List(Value("uint16")))
PREFERENCE_FEATURES = Features(
    {
        **FEATURES,
        "prompt_id": Value("string"),
        "voice_script": Value("string"),
        "voice_codes": CODES,
        "rejected_codes": CODES,
        "rejected_ended": Value("bool"),
        "margin": Value("float32"),
        "chosen_scores": Value("string"),
        "rejected_scores": Value("string"),
        "origin": Value("string"),
        "rejected_audio": Audio(decode=False),
    }
)
CODE_COLUMNS = ("codes", "rejected_codes", "voice_codes")
Codes = NDArray[np.uint16]


@dataclass(frozen=True)
class Preference:
    """What a pair has beside its preferred take.

    ``margin`` is by how much the take is preferred, in units of ``origin``: a reward, or the share of votes.
    Scores are JSON. A voice prompt has the transcript ``voice_script`` and codes (T, C), both empty without
    one.
    """

    prompt_id: str
    rejected_codes: Codes
    rejected_ended: bool
    margin: float
    origin: str
    chosen_scores: str = "{}"
    rejected_scores: str = "{}"
    voice_script: str = ""
    voice_codes: Codes = field(default_factory=lambda: np.zeros((0, 0), dtype=np.uint16))
    rejected_flac: bytes | None = None


def preference_row(clip_row: dict[str, Any], preference: Preference) -> dict[str, Any]:
    """Return a row of ``PREFERENCE_FEATURES`` from the row of its preferred take."""
    values = {item.name: getattr(preference, item.name) for item in fields(preference)}
    values |= {name: values[name].tolist() for name in ("rejected_codes", "voice_codes")}
    flac = values.pop("rejected_flac")
    return clip_row | values | {"rejected_audio": {"bytes": flac, "path": f"{clip_row['id']}-rejected.flac"}}
