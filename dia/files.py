"""Files that are there whole or not at all, and stay there when the machine loses its power."""

import hashlib
import os
import shutil
import uuid
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a text as :func:`write_bytes` does, in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under another name, sync it and rename it over what stood there. Raises ``OSError`` as the
    system does.

    The other name begins with a dot and is nobody else's, so that threads and processes may write the same
    file.
    """
    made = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        made.write_bytes(content)
        sync(made)
        os.replace(made, path)
        sync(path.parent)
    finally:
        made.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file or folder written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
