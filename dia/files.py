"""File helpers: atomic and durable writes and their errors, paths that files name, SHA-256, removal."""

import errno
import hashlib
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dia.errors import StorageError, UserError

FREE_SPACE = "free space, or write to another disk"
PERMISSIONS = "change the permissions, or write to another folder"
MISSING = "create the folder, or write to another one"
REMEDIES = {
    errno.ENOSPC: FREE_SPACE,
    errno.EDQUOT: FREE_SPACE,
    errno.EFBIG: "raise the limit of the size of a file (ulimit -f), or write to another disk",
    errno.EROFS: PERMISSIONS,
    errno.EACCES: PERMISSIONS,
    errno.EPERM: PERMISSIONS,
    errno.ENOENT: MISSING,
    errno.ENOTDIR: MISSING,
    errno.EEXIST: MISSING,
    errno.EISDIR: "name a file",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "check the disk",
}
WRITING_ONLY = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # errors that no read raises
RUST_ERROR = re.compile(r"os error (\d+)|code: (\d+)")  # in the messages of safetensors
TORCH_WRITER = ("PytorchStreamWriter", "inline_container.cc")  # in those of torch.save


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Raise :class:`StorageError` that names ``path`` when the file system refuses a write of the block.

    Errors of reading pass unchanged, unless they concern the folder of ``path``.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = refused_write(error, path.parent)
        if number is None:
            raise
        raise storage_error(path, number) from error


def storage_error(path: Path | str, number: int) -> StorageError:
    """Return the error for a path that cannot be written because of an ``errno``."""
    return StorageError(f"{path} cannot be written ({os.strerror(number)}); {REMEDIES[number]}")


def refused_write(error: BaseException, folder: Path | None = None) -> int | None:
    """Return the ``errno`` of a write that the file system refused, None for another error.

    An error that reading raises as well counts only when it concerns a path in ``folder`` or none. The
    libraries that write weights raise errors of their own, with the number in the message at best.
    """
    text = str(error)
    if isinstance(error, OSError):
        number = error.errno
        elsewhere = folder is not None and error.filename is not None and not _lies_in(error.filename, folder)
        return number if number in REMEDIES and (number in WRITING_ONLY or not elsewhere) else None
    if type(error).__name__ == "SafetensorError" and (match := RUST_ERROR.search(text)):
        number = int(match[1] or match[2])
        return number if number in REMEDIES else None
    if isinstance(error, RuntimeError) and any(name in text for name in TORCH_WRITER):
        return _torch_errno(error, text)
    return None


def _torch_errno(error: BaseException, text: str) -> int:
    """Return the ``errno`` of a failed `torch.save`: of its cause, else the one that its message describes.

    An error of its own writer has neither; it is one of input and output.
    """
    cause = error.__context__
    number = refused_write(cause) if isinstance(cause, OSError) else None
    described = (known for known in REMEDIES if os.strerror(known) in text)
    return number or next(described, errno.EIO)


def refused_anywhere(error: OSError) -> StorageError | None:
    """Return the error of a command for a write that no function reported, None where it may be a read."""
    if error.errno not in (*WRITING_ONLY, errno.EACCES, errno.EPERM):
        return None
    return storage_error("a file" if error.filename is None else os.fsdecode(error.filename), error.errno)


def _lies_in(path: str | bytes, folder: Path) -> bool:
    return Path(os.path.abspath(os.fsdecode(path))).is_relative_to(os.path.abspath(folder))


def make_folder(path: Path) -> None:
    """Create a folder and its parents unless they exist. Raises :class:`StorageError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        raise storage_error(path, error.errno) from error


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path; when the block succeeds, sync it to disk and rename it to ``path``.

    The temporary file lies in the same folder under a unique name, so that several threads or processes may
    write the same target; the name begins with a dot and has another suffix, so that no pattern such as
    ``*.json`` matches what a crash leaves behind. When the block raises, the temporary file is removed and
    ``path`` keeps its previous content.

    Raises:
        StorageError: When the folder does not exist or is read-only, when the disk is full, and so on.
    """
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    with storing(path):
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


def inside(folder: Path, name: object, owner: str, remedy: str = "copy the files again") -> Path:
    """Return the path of a file that a document names relative to ``folder``, such as a shard of an index.

    The name must stay inside of the folder, also through symbolic links: it comes from whoever wrote the
    document. In the cache of the Hub the files of a snapshot are links to blobs beside it; these are allowed,
    because both belong to one repository.

    Args:
        folder: The folder that the document describes.
        name: The name in the document.
        owner: The document, for the message.
        remedy: The end of the message: what to do.

    Raises:
        UserError: For a name that is no relative path below the folder.
    """
    if not is_inside(folder, name):
        raise UserError(f"{owner} names {name!r}, which is not a file inside {folder}; {remedy}")
    return folder / str(name)


def is_inside(folder: Path, name: object) -> bool:
    """Return whether a name in a document is a path below ``folder``, as :func:`inside` requires."""
    return is_relative(name) and _contains(folder, folder / str(name))


def is_plain_name(name: str) -> bool:
    """Return whether a text is the name of one file or folder, without a path to another place."""
    return is_relative(name) and not set(name) & set("/\\")


def is_relative(name: object) -> bool:
    """Whether a name is a path that stays below the folder it is relative to, links aside."""
    if not isinstance(name, str) or "\0" in name or name.startswith(("/", "\\")):
        return False
    return os.path.normpath(name.replace("\\", "/")).split("/")[0] not in (".", "..")


def _contains(folder: Path, path: Path) -> bool:
    root = folder.resolve()
    if root.parent.name == "snapshots":
        root = root.parent.parent
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a loop of links, or a name that is too long
        return False


def require_regular_file(path: Path) -> None:
    """Raise ``OSError`` unless a path is a regular file: opening a FIFO or a device may wait for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_regular_file(path: Path) -> bytes:
    """Return the content of a regular file. Raises ``OSError`` for anything else, as a missing file does."""
    require_regular_file(path)
    return path.read_bytes()
