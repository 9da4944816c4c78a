"""File helpers: atomic and durable writes, SHA-256 of a file, removal of files and folders."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path; when the block succeeds, sync it to disk and rename it to ``path``.

    The temporary file lies in the same folder under a unique name, so that several threads or processes may
    write the same target; the name begins with a dot and has another suffix, so that no pattern such as
    ``*.json`` matches what a crash leaves behind. When the block raises, the temporary file is removed and
    ``path`` keeps its previous content.

    Raises:
        OSError: As the file system does, for example when the folder does not exist or the disk is full.
    """
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        remove(temporary)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, as :func:`atomic_write` does."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically, as :func:`atomic_write` does."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def sync(path: Path) -> None:
    """Flush a file or a folder to disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes; the file is read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(path: Path) -> None:
    """Remove a file or a folder with its content; a missing path is no error."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
