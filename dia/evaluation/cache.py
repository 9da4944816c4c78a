"""On-disk cache of takes and scores, addressed by content: a second evaluation recomputes nothing.

A key is the SHA-256 of everything that a value depends on, so entries never become stale. Every entry carries
the SHA-256 of its content: a changed or truncated one is computed again, as is one of a version without
checksums. Audio is stored as FLAC and read back before its first use, so that the first and all later
evaluations score identical samples.
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
from dia.documents import parse_json
from dia.files import make_folder, write_bytes
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
        """Return the cached values of a key, else those that ``compute`` returns: plain JSON.

        Raises :class:`StorageError` when they cannot be stored.
        """
        self.lookups += 1
        cached = self._read_values(key)
        if cached is not None:
            self.hits += 1
            return cached
        return self._write_values(key, compute())

    def load_take(self, key: str) -> Take | None:
        """Return the take of a key, None when it is missing or damaged."""
        self.lookups += 1
        described = self._read_values(key)
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
        self._write_values(key, described)
        return Take(*waveform_from_bytes(content), take.ended) if content else take

    def _report_damaged(self, path: Path) -> None:
        logger.warning("%s is damaged or has no checksum; its values are computed again", path)

    def _path(self, key: str, kind: str) -> Path:
        return self.folder / key[:2] / f"{key}.{kind}"

    def _write(self, key: str, kind: str, content: bytes) -> None:
        path = self._path(key, kind)
        make_folder(path.parent)
        write_bytes(path, content)

    def _write_values(self, key: str, values: dict[str, Any]) -> dict[str, Any]:
        """Store values with the SHA-256 of key and values; return them as they will be read."""
        text = json.dumps(values, allow_nan=False)
        self._write(key, "json", json.dumps({"sha256": _checksum(key, text), "values": text}).encode())
        return dict(json.loads(text))

    def _read_values(self, key: str) -> dict[str, Any] | None:
        """Return the values of a key, None where they are missing, changed, or truncated by a full disk."""
        path = self._path(key, "json")
        try:
            stored = parse_json(path.read_bytes())
            if stored["sha256"] == _checksum(key, stored["values"]):
                return dict(parse_json(stored["values"]))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        self._report_damaged(path)
        return None


class NotStored(LookupError):
    """A cache that computes nothing lacks the values of a key."""


class StoredValues(ContentCache):
    """A cache of which only present values are read; damaged ones count as missing."""

    def get_or_compute(self, key: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the values of a key. Raises :class:`NotStored` where they are missing."""

        def refuse() -> dict[str, Any]:
            raise NotStored(key)

        return super().get_or_compute(key, refuse)

    def _report_damaged(self, path: Path) -> None:
        """Leave the report to the cache that computes the values again."""


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


def _checksum(key: str, text: str) -> str:
    """Return the SHA-256 of stored values with their key, so that two exchanged entries are noticed."""
    return hashlib.sha256(f"{key} {text}".encode()).hexdigest()
