"""A place for responses that were paid for and cannot be written into the folder of their recording."""

import logging
import os
import shlex
import shutil
import tempfile
import threading
from pathlib import Path

from dia.errors import StorageError, UserError
from dia.files import make_folder, write_bytes
from dia.systems.recording_folder import ATTEMPTS, RecordingFolder

SHARED_MEMORY = Path("/dev/shm")  # of Linux; it has room when every disk is full
logger = logging.getLogger(__name__)


class ResponseRescue:
    """Writes responses and their rows into a new folder elsewhere; safe to use from several threads.

    The folder lies in the home of the user, else in the folder for temporary files, the working directory, or
    shared memory.
    """

    def __init__(self, recording: RecordingFolder) -> None:
        self.recording = recording
        self._rows: dict[Path, bytes] = {}  # of attempts.jsonl, by folder
        self._lock = threading.Lock()

    def save(self, name: str, content: bytes, row: bytes, reason: StorageError) -> None:
        """Store a response as ``raw/<name>`` and its row of attempts.jsonl.

        Raises :class:`UserError` when no place can be written.
        """
        with self._lock:
            for folder in [*self._rows, *_places()]:
                rows = self._rows.get(folder, b"") + row
                try:
                    make_folder(folder / "raw")
                    write_bytes(folder / "raw" / name, content)
                    write_bytes(folder / ATTEMPTS, rows)
                except OSError:
                    if folder not in self._rows:
                        shutil.rmtree(folder, ignore_errors=True)
                    continue
                self._rows[folder] = rows
                logger.error("%s; the response is stored in %s", reason, folder)
                return
            raise UserError(f"{reason}; a response that was paid for is lost: no folder can be written")

    def require_unused(self) -> None:
        """Raise :class:`UserError` that says how to add the rescued responses to their recording."""
        if not self._rows:
            return
        to = shlex.quote(str(self.recording.path.absolute()))
        commands = [
            f"  cp -n {rescued}/raw/* {to}/raw/ && cat {rescued}/{ATTEMPTS} >> {to}/{ATTEMPTS}"
            for rescued in (shlex.quote(str(folder)) for folder in self._rows)
        ]
        raise UserError(
            "\n".join(
                [
                    f"{self.recording.path} cannot be written; responses that were paid for are stored in "
                    f"{', '.join(map(str, self._rows))}. Free space or change the permissions, and run:",
                    *commands,
                    "Then run the same command again: they are not requested again.",
                ]
            )
        )


def _places() -> list[Path]:
    """Return new folders in all places that could take responses, the best one first."""
    name = f"dia-responses-{os.urandom(4).hex()}"
    parents = (Path.home(), Path(tempfile.gettempdir()), Path.cwd(), SHARED_MEMORY)
    return [parent / name for parent in parents if parent.is_dir()]
