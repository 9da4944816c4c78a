"""Errors that the user can correct, and the exit codes of the commands."""

EXIT_USER_ERROR = 2
EXIT_INCOMPLETE = 3
"""The command finished, but left out some of its inputs; its output names them."""


class UserError(ValueError):
    """An error that the user can correct: the message states the problem, the place and the remedy.

    The commands print it without a traceback and exit with ``EXIT_USER_ERROR``.
    """


def one_line(error: Exception, length: int = 300) -> str:
    """Return an exception's message on one line of at most ``length`` characters.

    Some libraries write long messages: torch lists every weight that does not fit.
    """
    line = " ".join(str(error).split())
    return line if len(line) <= length else line[:length] + " ..."
