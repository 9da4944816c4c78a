"""Speaker turns by pyannote.audio, which lives in an environment of its own.

Version 4 wants a newer protobuf than the dac package allows, version 3 an older torchaudio than torch does:
neither can be installed beside this project. So a process of the other environment is asked; see
`diarization_process.py`.
"""

import contextlib
import json
import os
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from dia.data.recordings import diarization_process
from dia.data.recordings.measures import SAMPLE_RATE, Arrays
from dia.errors import UserError
from dia.types import Waveform


class PyannoteTurns:
    """Who speaks when. ``python`` is the interpreter of an environment with pyannote.audio.

    Everything raises :class:`UserError` with what the process said when it ends.
    """

    name = "pyannote"

    def __init__(self, python: str) -> None:
        self.python = python
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # lives as long as the stage

    @cached_property
    def identity(self) -> dict[str, str]:
        """Pipeline and version."""
        return self._started()[1]

    def measure(self, waveform: Waveform) -> Arrays:
        """Return ``start``, ``end`` (seconds) and ``voice`` of each stretch."""
        if self._process is None:
            self._process = self._started()[0]
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            soundfile.write(file.name, waveform, SAMPLE_RATE, subtype="PCM_16")
            found = self._answer(self._process, file.name)
        return {
            "start": np.array([start for start, _, _ in found], dtype=np.float32),
            "end": np.array([end for _, end, _ in found], dtype=np.float32),
            "voice": np.array([voice for _, _, voice in found], dtype=np.str_),
        }

    def _started(self) -> tuple["subprocess.Popen[str]", dict[str, str]]:
        """A new process, and what it says of itself."""
        command = [self.python, str(Path(diarization_process.__file__))]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}  # see dia/data/engines/run.py
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                env=environment,
            )
        except OSError as error:
            raise UserError(
                f"data.recordings.pyannote={self.python!r} cannot be run ({error.strerror}); give the Python of an environment "
                "with pyannote.audio: `python -m venv ENV; ENV/bin/pip install pyannote.audio`, then ENV/bin/python"
            ) from error
        return process, self._answer(process)

    def _answer(self, process: "subprocess.Popen[str]", question: str = "") -> Any:
        """Its next line, after a question if there is one. A process that ends is forgotten: the next
        recording gets another.
        """
        assert process.stdin is not None and process.stdout is not None, "both are piped"
        if question:
            with contextlib.suppress(BrokenPipeError):
                print(question, file=process.stdin, flush=True)
        if line := process.stdout.readline():
            return json.loads(line)
        process.wait()
        self._process = None
        self._errors.seek(0)
        said = self._errors.read()[-1000:].strip() or f"it ended with {process.returncode}"
        raise UserError(f"pyannote.audio of data.recordings.pyannote={self.python} gave no answer:\n{said}")
