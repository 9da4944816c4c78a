"""Errors that a user can mend."""


class UserError(ValueError):
    """What went wrong, where, and what to do about it; front doors print it without a traceback and exit with 2."""
