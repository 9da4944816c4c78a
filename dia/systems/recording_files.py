"""Files of a recording that survive a crash: written once and completely, or an append-only log."""

import hashlib
import json
import os
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dia.documents import parse_json
from dia.errors import UserError
from dia.files import remove, storing, sync
from dia.locks import try_lock

JsonRow = dict[str, Any]


def write_once(path: Path, content: bytes) -> str:
    """Write a file that is never overwritten, and return its sha256.

    Writing the same content again is allowed. Raises ``FileExistsError`` when the content differs, and
    :class:`StorageError` when the file cannot be written.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    with storing(path):
        try:
            temporary.write_bytes(content)
            sync(temporary)
            with suppress(FileExistsError):
                os.link(temporary, path)
            sync(path.parent)
        finally:
            remove(temporary)
    if path.read_bytes() != content:
        raise FileExistsError(f"{path} exists with another content")
    return bytes_sha256(content)


def bytes_sha256(content: bytes) -> str:
    """Return the sha256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


class AppendOnlyLog:
    """An append-only JSONL file for one process at a time; :meth:`append` syncs each line to disk."""

    def __init__(self, path: Path, redact: Callable[[str], str]) -> None:
        """Open for appending.

        Raises :class:`UserError` when another process has it open, or when it cannot be written.
        """
        self.path, self.redact = path, redact
        self._lock = threading.Lock()
        with storing(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        if not try_lock(self._file, path):
            os.close(self._file)
            raise UserError(
                f"another command is recording into {path.parent}; wait until it ends, or give run_id=..."
            )
        self._remove_incomplete_line()

    def rows(self) -> list[JsonRow]:
        """Return all rows. Raises :class:`UserError` for a line that is not JSON."""
        rows = []
        for number, line in enumerate(self.path.read_text(encoding="utf-8").split("\n")[:-1], start=1):
            try:
                rows.append(parse_json(line))
            except ValueError as error:
                raise UserError(
                    f"{self.path} line {number} is not JSON ({error}); "
                    "restore the file, or give another run_id"
                ) from error
        return rows

    def append(self, row: JsonRow) -> None:
        """Write a row and sync it to disk. Raises :class:`StorageError`; nothing of the row remains then."""
        content = self.line_of(row)
        with self._lock, storing(self.path):
            end = os.fstat(self._file).st_size
            try:
                written = 0
                while written < len(content):
                    written += os.write(self._file, content[written:])
                os.fsync(self._file)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(self._file, end)
                raise

    def line_of(self, row: JsonRow) -> bytes:
        """Return a row as it stands in the file."""
        line = self.redact(json.dumps(row, ensure_ascii=False, allow_nan=False)) + "\n"
        return line.encode("utf-8", "replace")

    def close(self) -> None:
        """Close the file, which releases the lock."""
        os.close(self._file)

    def _remove_incomplete_line(self) -> None:
        """Remove a line whose writing was interrupted; the line before holds its request."""
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.ftruncate(self._file, content.rfind(b"\n") + 1)
