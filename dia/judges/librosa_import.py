"""Importing librosa, whose functions numba compiles at the first import on a machine."""

import functools
import importlib
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from dia.locks import file_lock

COMPILED = (
    "librosa.util.utils",
    "librosa.core.audio",
    "librosa.core.pitch",
)  # with guvectorize
logger = logging.getLogger(__name__)


@functools.cache
def import_librosa() -> Any:
    """Return the module librosa with its compiled functions loaded, compiled by one process at a time.

    Compiling takes 20 s and stores files beside librosa. Processes that compile at the same time mix their
    files, and a process that loads such a mixture is terminated by a segmentation fault (numba issue 10128).
    """
    with file_lock(lock_file(), lambda: logger.info("waiting for another process that compiles librosa")):
        for module in COMPILED:
            importlib.import_module(module)
    return importlib.import_module("librosa")


def lock_file() -> Path:
    """Return the lock of this user, in the folder of temporary files: homes may share an installation."""
    return Path(tempfile.gettempdir()) / f"dia-librosa-{os.getuid()}.lock"
