"""Logging for the command line: plain lines on standard error, marked with the rank where there are several.

Library code only calls ``logging.getLogger(__name__)``. A command calls :func:`configure_logging` once.
"""

import logging
import os
import sys
from collections.abc import Mapping
from typing import TextIO


def configure_logging(level: int = logging.INFO) -> None:
    """Show this package's records from ``level`` on rank 0, and warnings of every rank and every library.

    Repeated calls have no further effect but the level. Handlers that exist already stay.
    """
    logging.getLogger("dia").setLevel(level)
    root = logging.getLogger()
    if not any(isinstance(handler, _StandardError) for handler in root.handlers):
        root.addHandler(_StandardError())


def global_rank(environment: Mapping[str, str] = os.environ) -> int:
    """Return the rank that torchrun or srun gave this process, 0 without either."""
    return int(environment.get("RANK") or environment.get("SLURM_PROCID") or 0)


class _StandardError(logging.StreamHandler[TextIO]):
    """Write to what ``sys.stderr`` is at the time, so that a progress bar stays below the lines."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.addFilter(_is_shown)
        self.setFormatter(_RankFormatter())

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute of the base class
        return sys.stderr


class _RankFormatter(logging.Formatter):
    """`message`, `warning: message`, and `[rank 3] warning: message` on the other ranks."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        rank = f"[rank {global_rank()}] " if global_rank() else ""
        return f"{rank}{level}{super().format(record)}"


def _is_shown(record: logging.LogRecord) -> bool:
    own = record.name == "dia" or record.name.startswith("dia.")
    return record.levelno >= logging.WARNING or (own and global_rank() == 0)
