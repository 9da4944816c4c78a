"""Files of a recording that survive a crash: written once and completely, or an append-only log."""

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

JsonRow = dict[str, Any]


def write_once(path: Path, content: bytes) -> str:
    """Write a file that is never overwritten, and return its sha256.

    Writing the same content again is allowed. Raises ``FileExistsError`` when the content differs.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    temporary.write_bytes(content)
    sync(temporary)
    try:
        os.link(temporary, path)
        sync(path.parent)
    except FileExistsError:
        if path.read_bytes() != content:
            raise
    finally:
        temporary.unlink(missing_ok=True)
    return bytes_sha256(content)


def bytes_sha256(content: bytes) -> str:
    """Return the sha256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


class AppendOnlyLog:
    """An append-only JSONL file for one process at a time; :meth:`append` syncs each line to disk."""

    def __init__(self, path: Path, redact: Callable[[str], str]) -> None:
        """Open for appending. Raises :class:`UserError` when another process has it open."""
        self.path, self.redact = path, redact
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise UserError(
                f"another command is recording into {path.parent}; wait until it ends, or give run_id=..."
            ) from error
        self._remove_incomplete_line()

    def rows(self) -> list[JsonRow]:
        """Return all rows. Raises :class:`UserError` for a line that is not JSON."""
        rows = []
        for number, line in enumerate(self.path.read_text(encoding="utf-8").split("\n")[:-1], start=1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise UserError(
                    f"{self.path} line {number} is not JSON ({error}); "
                    "restore the file, or give another run_id"
                ) from error
        return rows

    def append(self, row: JsonRow) -> None:
        """Write a row and sync it to disk."""
        line = self.redact(json.dumps(row, ensure_ascii=False, allow_nan=False)) + "\n"
        with self._lock:
            os.write(self._file, line.encode("utf-8", "replace"))
            os.fsync(self._file)

    def close(self) -> None:
        """Close the file, which releases the lock."""
        os.close(self._file)

    def _remove_incomplete_line(self) -> None:
        """Remove a line whose writing was interrupted; the line before holds its request."""
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.ftruncate(self._file, content.rfind(b"\n") + 1)


def make_redactor(secret: str) -> Callable[[str], str]:
    """Return a function that replaces a secret in a text, as plain text and in both JSON notations."""
    notations = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]} - {""}

    def redact(text: str) -> str:
        for notation in notations:
            text = text.replace(notation, "[key]")
        return text

    return redact
