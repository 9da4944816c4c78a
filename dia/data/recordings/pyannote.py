"""Speaker turns by pyannote.audio, an extra: its pipeline is downloaded, with the token in HF_TOKEN."""

import os
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from dia.audio.files import Wave
from dia.data.recordings.measures import SAMPLE_RATE, Arrays
from dia.errors import UserError

PIPELINE = "pyannote/speaker-diarization-3.1"


class PyannoteTurns:
    """Who speaks when."""

    name = "pyannote"

    @property
    def identity(self) -> dict[str, str]:
        """Pipeline and version. Raises :class:`UserError` when pyannote.audio is not installed."""
        try:
            return {"model": PIPELINE, "version": version("pyannote.audio")}
        except PackageNotFoundError as error:
            raise UserError(
                "data.recordings.diarization=pyannote needs pyannote.audio; `pip install pyannote.audio` into an environment of "
                "its own (it wants a newer protobuf than the dac package allows), or set diarization=clusters"
            ) from error

    @cached_property
    def _pipeline(self) -> Any:
        from pyannote.audio import Pipeline

        return Pipeline.from_pretrained(PIPELINE, use_auth_token=os.environ.get("HF_TOKEN"))

    def measure(self, wave: Wave) -> Arrays:
        """Return ``start``, ``end`` (seconds) and ``voice`` of each stretch."""
        import torch

        found = self._pipeline({"waveform": torch.from_numpy(wave)[None], "sample_rate": SAMPLE_RATE})
        tracks = [(turn.start, turn.end, voice) for turn, _, voice in found.itertracks(yield_label=True)]
        return {
            "start": np.array([start for start, _, _ in tracks], dtype=np.float32),
            "end": np.array([end for _, end, _ in tracks], dtype=np.float32),
            "voice": np.array([voice for _, _, voice in tracks], dtype=np.str_),
        }
