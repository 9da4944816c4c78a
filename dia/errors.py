"""Errors that the user can correct, and the exit codes of the commands."""

EXIT_USER_ERROR = 2
EXIT_INCOMPLETE = 3
"""The command finished, but left out some of its inputs; its output names them."""


class UserError(ValueError):
    """What went wrong, where, and what to do about it; front doors print it without a traceback and exit with
    2.
    """


def one_line(error: Exception, length: int = 300) -> str:
    """Return a library's message on one line, cut to ``length`` characters (torch lists every weight that
    does not fit).
    """
    line = " ".join(str(error).split())
    return line if len(line) <= length else line[:length] + " ..."
