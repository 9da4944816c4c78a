"""What was spoken and measured before, kept by content: a second evaluation of the same asks nothing again.

A key says all that the answer depends on, so nothing here ever grows stale. Sound is kept as FLAC and read
back before it is first used: what is scored now and what is scored from here later are the same samples.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dia.audio.files import flac_bytes, waveform_from_bytes
from dia.files import write_bytes
from dia.types import Waveform


@dataclass(frozen=True)
class Take:
    """What a system spoke: float32 (samples,) at ``sample_rate`` hertz, and whether it came to an end by
    itself.
    """

    waveform: Waveform
    sample_rate: int
    ended: bool


class ContentCache:
    """Answers in a folder, two levels deep; written whole or not at all, so that evaluations may share it.

    ``asked`` and ``found`` count keys looked for, and those that were there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = self.found = 0

    def values(self, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the kept values of a key, else what ``make`` returns: plain JSON."""
        self.asked += 1
        path = self._path(key, "json")
        known = _json(path)
        if known is not None:
            self.found += 1
            return known
        made = json.loads(json.dumps(make(), allow_nan=False))
        self._write(key, "json", json.dumps(made).encode())
        return dict(made)

    def take(self, key: str) -> Take | None:
        """Return the sound of a key, None when it is not there or damaged."""
        self.asked += 1
        described = _json(self._path(key, "json"))
        sound = self._path(key, "flac")
        if described is None or not sound.is_file():
            return None
        content = sound.read_bytes()
        if hashlib.sha256(content).hexdigest() != described["sha256"]:
            return None
        self.found += 1
        return (
            Take(*waveform_from_bytes(content), bool(described["ended"]))
            if described["samples"]
            else _nothing(described)
        )

    def put(self, key: str, take: Take) -> Take:
        """Keep the sound of a key, and return it as it will be read."""
        content = flac_bytes(take.waveform, take.sample_rate) if len(take.waveform) else b""
        self._write(key, "flac", content)
        described = {
            "sha256": hashlib.sha256(content).hexdigest(), "ended": take.ended, "samples": len(take.waveform),
            "sample_rate": take.sample_rate,
        }  # fmt: skip
        self._write(key, "json", json.dumps(described).encode())
        return Take(*waveform_from_bytes(content), take.ended) if content else take

    def _path(self, key: str, kind: str) -> Path:
        return self.folder / key[:2] / f"{key}.{kind}"

    def _write(self, key: str, kind: str, content: bytes) -> None:
        path = self._path(key, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)


def key_of_take(**what: Any) -> str:
    """Return the sha256 of all that a take depends on, plain values by name."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _nothing(described: dict[str, Any]) -> Take:
    return Take(np.zeros(0, np.float32), int(described["sample_rate"]), bool(described["ended"]))


def _json(path: Path) -> dict[str, Any] | None:
    """The content of a file, None where it is missing or was cut off (by a full disk, say)."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None
