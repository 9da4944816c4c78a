"""Errors that the user can correct, and the exit codes of the commands."""

from collections.abc import Iterator
from contextlib import contextmanager

EXIT_USER_ERROR = 2
EXIT_INCOMPLETE = 3
"""The command finished, but left out some of its inputs; its output names them."""


class UserError(ValueError):
    """An error that the user can correct: the message states the problem, the place and the remedy.

    The commands print it without a traceback and exit with ``EXIT_USER_ERROR``.
    """


class UnavailableError(UserError, RuntimeError):
    """A checkpoint, codec or recording that cannot be opened.

    nari-labs/dia raises ``RuntimeError`` where this is raised.
    """


class MissingFileError(UnavailableError, FileNotFoundError):
    """A checkpoint, config or recording that does not exist."""


@contextmanager
def as_unavailable() -> Iterator[None]:
    """Raise every :class:`UserError` of the block as an :class:`UnavailableError` with the same message."""
    try:
        yield
    except UnavailableError:
        raise
    except UserError as error:
        raise UnavailableError(str(error)) from error


class StorageError(OSError, UserError):  # in this order, in which Dask and tblib can unpickle it
    """The file system refuses to write: a full disk, a read-only or missing folder, a limit of file size.

    It is an ``OSError`` as well, so that code which handles failing writes need not know this class.
    """


def one_line(error: BaseException, length: int = 300) -> str:
    """Return an exception's message on one line of at most ``length`` characters.

    Some libraries write long messages: torch lists every weight that does not fit.
    """
    line = " ".join(str(error).split())
    return line if len(line) <= length else line[:length] + " ..."
