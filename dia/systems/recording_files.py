"""Files of a recording: there whole or not at all, never overwritten, and still there when the machine loses
its power.
"""

import fcntl
import hashlib
import json
import os
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dia.errors import UserError
from dia.files import sync


def keep(path: Path, content: bytes) -> str:
    """Write a file that is never overwritten, and return its sha256. The same content again is no harm.

    Raises ``FileExistsError`` when something else stands there.
    """
    made = _made_beside(path, content)
    try:
        os.link(made, path)
        sync(path.parent)
    except FileExistsError:
        if path.read_bytes() != content:
            raise
    finally:
        made.unlink(missing_ok=True)
    return bytes_sha256(content)


def bytes_sha256(content: bytes) -> str:
    """Return the sha256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


class Log:
    """A JSONL file that is only ever added to, each line synced before the next thing happens. One process at
    a time.
    """

    def __init__(self, path: Path, redact: Callable[[str], str]) -> None:
        """Open for adding. Raises :class:`UserError` when another process has it open."""
        self.path, self.redact = path, redact
        self._turn = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise UserError(
                f"another command is recording into {path.parent}; wait for its end, or give run_id=..."
            ) from error
        self._cut_torn_line()

    def rows(self) -> list[dict[str, Any]]:
        """Return all rows. Raises :class:`UserError` for a line that was changed so that it cannot be
        read.
        """
        found = []
        for number, line in enumerate(self.path.read_text(encoding="utf-8").split("\n")[:-1], start=1):
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise UserError(
                    f"{self.path} line {number} is no JSON ({error}); bring it back, or give another run_id"
                ) from error
        return found

    def add(self, row: dict[str, Any]) -> None:
        """Write a row, and have it on the disk."""
        line = self.redact(json.dumps(row, ensure_ascii=False, allow_nan=False)) + "\n"
        with self._turn:
            os.write(self._file, line.encode("utf-8", "replace"))
            os.fsync(self._file)

    def close(self) -> None:
        """Let other processes in."""
        os.close(self._file)

    def _cut_torn_line(self) -> None:
        """What follows the last line's end was being written when the machine stopped; its request stands in
        the line before.
        """
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.ftruncate(self._file, content.rfind(b"\n") + 1)


def redactor(secret: str) -> Callable[[str], str]:
    """Return a function that takes a key out of a text, as it stands and as JSON spells it."""
    spellings = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]} - {""}

    def redact(text: str) -> str:
        for spelling in spellings:
            text = text.replace(spelling, "[key]")
        return text

    return redact


def _made_beside(path: Path, content: bytes) -> Path:
    made = path.with_name(f".{uuid.uuid4().hex}")
    made.write_bytes(content)
    sync(made)
    return made
