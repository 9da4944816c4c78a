"""On-disk cache of takes and scores, addressed by content: a second evaluation recomputes nothing.

A key is the SHA-256 of everything that a value depends on, so entries never become stale. Audio is stored as
FLAC and read back before its first use, so that the first and all later evaluations score identical samples.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dia.audio.files import flac_bytes, waveform_from_bytes
from dia.files import write_bytes
from dia.types import Waveform

OLD_NAME, NAME = ".kept", ".cache"  # of the default folder, before and after it was renamed
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Take:
    """One generation: float32 (samples,) at ``sample_rate`` hertz, and whether it ended by itself."""

    waveform: Waveform
    sample_rate: int
    ended: bool


class ContentCache:
    """Values and takes in a folder, two levels deep; writes are atomic, so evaluations may share it.

    ``lookups`` and ``hits`` count keys that were looked up, and those that were present.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lookups = self.hits = 0

    def get_or_compute(self, key: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the cached values of a key, else those that ``compute`` returns: plain JSON."""
        self.lookups += 1
        cached = _read_json(self._path(key, "json"))
        if cached is not None:
            self.hits += 1
            return cached
        content = json.dumps(compute(), allow_nan=False)
        self._write(key, "json", content.encode())
        return dict(json.loads(content))

    def load_take(self, key: str) -> Take | None:
        """Return the take of a key, None when it is missing or damaged."""
        self.lookups += 1
        described = _read_json(self._path(key, "json"))
        audio = self._path(key, "flac")
        if described is None or not audio.is_file():
            return None
        content = audio.read_bytes()
        if hashlib.sha256(content).hexdigest() != described["sha256"]:
            return None
        self.hits += 1
        if not described["samples"]:
            return Take(np.zeros(0, np.float32), int(described["sample_rate"]), bool(described["ended"]))
        return Take(*waveform_from_bytes(content), bool(described["ended"]))

    def store_take(self, key: str, take: Take) -> Take:
        """Store a take, and return it as later evaluations will read it."""
        content = flac_bytes(take.waveform, take.sample_rate) if len(take.waveform) else b""
        described = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "ended": take.ended,
            "samples": len(take.waveform),
            "sample_rate": take.sample_rate,
        }
        self._write(key, "flac", content)
        self._write(key, "json", json.dumps(described).encode())
        return Take(*waveform_from_bytes(content), take.ended) if content else take

    def _path(self, key: str, kind: str) -> Path:
        return self.folder / key[:2] / f"{key}.{kind}"

    def _write(self, key: str, kind: str, content: bytes) -> None:
        path = self._path(key, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)


def open_cache(folder: Path) -> ContentCache:
    """Open the cache of a folder; one named `.cache` takes over a folder `.kept` of earlier versions.

    The old folder is renamed where the new one is missing, and used as it is where it cannot be renamed.
    """
    old = folder.with_name(OLD_NAME)
    if folder.name == NAME and not folder.exists() and old.is_dir():
        try:
            os.rename(old, folder)
        except OSError as error:
            logger.warning("%s cannot be renamed to %s (%s); it is used as it is", old, folder, error)
            return ContentCache(old)
        logger.info("renamed the cache %s to %s", old, folder)
    return ContentCache(folder)


def take_key(**dependencies: Any) -> str:
    """Return the SHA-256 of everything that a take depends on, plain values by name."""
    return hashlib.sha256(json.dumps(dependencies, sort_keys=True).encode()).hexdigest()


def _read_json(path: Path) -> dict[str, Any] | None:
    """Return the content of a file, None where it is missing or truncated (by a full disk, say)."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None
