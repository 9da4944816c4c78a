"""Speaker diarization with pyannote.audio in a process of another Python environment.

Version 4 requires a newer protobuf than the dac package permits, version 3 an older torchaudio than torch
does, so neither can be installed beside this project. The other process runs `diarization_process.py`.
"""

import contextlib
import os
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from dia.data.recordings import diarization_process
from dia.data.recordings.stage_cache import SAMPLE_RATE, Arrays
from dia.documents import parse_json
from dia.errors import UserError
from dia.redaction import make_redactor
from dia.types import Waveform


class PyannoteTurns:
    """Speaker turns. ``python`` is the interpreter of an environment with pyannote.audio.

    All methods raise :class:`UserError` with the output of the process when it fails.
    """

    name = "pyannote"

    def __init__(self, python: str) -> None:
        self.python = python
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # lives as long as the stage

    @cached_property
    def identity(self) -> dict[str, str]:
        """Pipeline and version."""
        return self._start_process()[1]

    def measure(self, waveform: Waveform) -> Arrays:
        """Return ``start``, ``end`` (seconds) and ``voice`` of each segment."""
        if self._process is None:
            self._process = self._start_process()[0]
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            soundfile.write(file.name, waveform, SAMPLE_RATE, subtype="PCM_16")
            segments = self._exchange(self._process, file.name)
        return {
            "start": np.array([start for start, _, _ in segments], dtype=np.float32),
            "end": np.array([end for _, end, _ in segments], dtype=np.float32),
            "voice": np.array([voice for _, _, voice in segments], dtype=np.str_),
        }

    def _start_process(self) -> tuple["subprocess.Popen[str]", dict[str, str]]:
        """A new process and its identity."""
        command = [self.python, str(Path(diarization_process.__file__))]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}  # see dia/engines/run.py
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
                f"data.recordings.pyannote={self.python!r} cannot be run ({error.strerror}); give the "
                "Python of an environment with pyannote.audio: `python -m venv ENV; ENV/bin/pip install "
                "pyannote.audio`, then ENV/bin/python"
            ) from error
        return process, self._exchange(process)

    def _exchange(self, process: "subprocess.Popen[str]", path: str = "") -> Any:
        """Send ``path``, if given, and return the next line. After a failure the process is replaced."""
        assert process.stdin is not None and process.stdout is not None, "both are piped"
        if path:
            with contextlib.suppress(BrokenPipeError):
                print(path, file=process.stdin, flush=True)
        if line := process.stdout.readline():
            return parse_json(line)
        process.wait()
        self._process = None
        self._errors.seek(0)
        # redacted before it is cut; the message becomes a part of the data set's report
        redact = make_redactor(os.environ.get("HF_TOKEN", "").strip())
        output = redact(self._errors.read())[-1000:].strip() or f"exit status {process.returncode}"
        raise UserError(f"pyannote.audio of data.recordings.pyannote={self.python} failed:\n{output}")
