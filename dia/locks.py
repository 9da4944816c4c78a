"""Locks between processes: a file with an advisory lock, which ends with its process, however that ends.

``flock`` also works between the machines of a cluster on NFS (Linux turns it into a lock of the server) and
on most parallel file systems. Where the file system has no locks, a warning says so and nothing is locked.
"""

import errno
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dia.files import storing

UNLOCKABLE = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # file systems without locks
logger = logging.getLogger(__name__)


@contextmanager
def file_lock(path: Path, when_busy: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a file, which is created for it and removed at the end.

    ``when_busy`` is called when another process holds it: it raises, or returns to wait for that process.
    Raises :class:`StorageError` when the file cannot be created.
    """
    while True:
        with storing(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not try_lock(descriptor, path):
                when_busy()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not _is_current(descriptor, path):
                continue  # its last holder removed the file in the meantime
            try:
                yield
            finally:
                with suppress(OSError):
                    path.unlink()
            return
        finally:
            os.close(descriptor)


def try_lock(descriptor: int, path: Path) -> bool:
    """Return whether this process got the lock of an open file, or the file system has none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in UNLOCKABLE:
            raise
        logger.warning(
            "%s cannot be locked (%s); make sure that only one process at a time writes there",
            path.parent,
            error.strerror,
        )
    return True


def _is_current(descriptor: int, path: Path) -> bool:
    """Return whether an open file is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
