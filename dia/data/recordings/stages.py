"""The stages of labelling, one model each, loaded on first use (one thread: see dia/engines/run.py)."""

from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np

from dia.config.recordings import RecordingsConfig
from dia.data.recordings.stage_cache import SAMPLE_RATE, Arrays, Stage
from dia.dialogue import Script
from dia.errors import UserError
from dia.judges.events import DetectorUnavailable, EventDetector
from dia.judges.prosody import HIGHEST, LOWEST, contour
from dia.judges.quality import DistillMos
from dia.judges.recording import Recording
from dia.judges.speakers import ResemblyzerEncoder
from dia.judges.transcription import Whisper
from dia.types import Waveform

FRAME = 512  # samples per frame of Silero VAD
MOS_SECONDS = 8.0


class Speech:
    """Speech probability by Silero VAD, per frame of 32 ms."""

    name = "speech"

    @property
    def identity(self) -> dict[str, str]:
        """Model and version."""
        return {"model": f"silero-vad {version('silero-vad')}"}

    @cached_property
    def _model(self) -> Any:
        from silero_vad import load_silero_vad

        return load_silero_vad()

    def measure(self, waveform: Waveform) -> Arrays:
        """Return ``probability`` (frames,)."""
        import torch

        self._model.reset_states()
        padded = torch.nn.functional.pad(torch.from_numpy(waveform), (0, -len(waveform) % FRAME))
        with torch.inference_mode():
            return {
                "probability": self._model.audio_forward(padded, SAMPLE_RATE)[0].numpy().astype(np.float16)
            }


class Voices:
    """Speaker embeddings of windows of 1.6 s."""

    name = "voices"

    @cached_property
    def _encoder(self) -> ResemblyzerEncoder:
        return ResemblyzerEncoder()

    @property
    def identity(self) -> dict[str, str]:
        """Model and version."""
        return {"model": self._encoder.provenance.model, "version": self._encoder.provenance.version}

    def measure(self, waveform: Waveform) -> Arrays:
        """Return ``middle`` (windows,) in seconds and unit ``embedding`` (windows, 256)."""
        middle, embedding = self._encoder.windows(waveform)
        return {"middle": middle, "embedding": embedding.astype(np.float16)}


class Words:
    """Words with times by Whisper."""

    def __init__(self, model: str, name: str = "words") -> None:
        self.name, self._whisper = name, Whisper(model or None, threads=1)

    @property
    def identity(self) -> dict[str, str]:
        """Model, version and settings."""
        provenance = self._whisper.provenance
        return {"model": provenance.model, "version": provenance.version, "settings": provenance.settings}

    def measure(self, waveform: Waveform) -> Arrays:
        """Return ``text``, ``start``, ``end`` (seconds) and ``probability`` of each word (words,)."""
        words = self._whisper.words(_recording(waveform))
        return {
            "text": np.array([word.text for word in words], dtype=np.str_),
            "start": np.array([word.start for word in words], dtype=np.float32),
            "end": np.array([word.end for word in words], dtype=np.float32),
            "probability": np.array([word.probability for word in words], dtype=np.float32),
        }


class Events:
    """Scores of nonverbal sounds by YAMNet, per window of .975 s every .2 s."""

    name = "events"

    def __init__(self) -> None:
        try:
            self._detector = EventDetector()
        except DetectorUnavailable as error:
            raise UserError(f"nonverbal sounds cannot be labelled: {error}") from error

    @property
    def identity(self) -> dict[str, str]:
        """Model, version, and the classes by tag."""
        provenance = self._detector.provenance
        tags = str(self._detector.declared["tags"])
        return {"model": provenance.model, "version": provenance.version, "tags": tags}

    def measure(self, waveform: Waveform) -> Arrays:
        """Return ``start`` (windows,) in seconds, ``tags`` (tags,) and ``score`` (windows, tags)."""
        start, scores = self._detector.windows(waveform)
        tags = sorted(scores)
        return {
            "start": start,
            "tags": np.array(tags, dtype=np.str_),
            "score": np.stack([scores[tag] for tag in tags], axis=1).astype(np.float16),
        }


class Prosody:
    """Pitch (YIN, de Cheveigne and Kawahara 2002) and energy, per frame of 10 ms."""

    name = "prosody"

    @property
    def identity(self) -> dict[str, str]:
        """Library version and pitch range."""
        return {"model": f"librosa {version('librosa')} yin {LOWEST:g} to {HIGHEST:g} Hz"}

    def measure(self, waveform: Waveform) -> Arrays:
        """Return ``pitch`` in hertz and ``energy`` in decibels (frames,)."""
        prosody = contour(waveform)
        return {"pitch": prosody.pitch, "energy": prosody.energy}


class Quality:
    """Integrated loudness, clipped samples per second, and DistillMOS per window of 8 s."""

    name = "quality"

    def __init__(self, mos: bool) -> None:
        self.mos = mos

    @cached_property
    def _predictor(self) -> DistillMos:
        return DistillMos()

    @property
    def identity(self) -> dict[str, str]:
        """Models and versions."""
        mos = (
            f"{self._predictor.provenance.model} {self._predictor.provenance.version}" if self.mos else "off"
        )
        return {"loudness": f"pyloudnorm {version('pyloudnorm')}", "mos": mos}

    def measure(self, waveform: Waveform) -> Arrays:
        """Return ``loudness`` (1,) in LUFS, ``clipped`` (seconds,) as shares, and ``mos`` (windows,).

        Values that cannot be measured are NaN.
        """
        import pyloudnorm

        seconds = np.array_split(np.abs(waveform) >= 0.999, max(1, len(waveform) // SAMPLE_RATE))
        size = int(MOS_SECONDS * SAMPLE_RATE)
        windows = (
            [waveform[begin : begin + size] for begin in range(0, len(waveform), size)] if self.mos else []
        )
        scores = [self._predictor.predict(_recording(window)) for window in windows]
        meter = pyloudnorm.Meter(SAMPLE_RATE)
        loudness = (
            meter.integrated_loudness(waveform) if len(waveform) > 0.4 * SAMPLE_RATE + 1 else float("nan")
        )
        return {
            "loudness": np.array([loudness], dtype=np.float32),
            "clipped": np.array([part.mean() for part in seconds], dtype=np.float32),
            "mos": np.array([np.nan if score is None else score for score in scores], dtype=np.float32),
        }


def build_stages(config: RecordingsConfig) -> list[Stage]:
    """Return the configured stages. Raises :class:`UserError` when a model is not available."""
    stages: list[Stage] = [Speech(), Words(config.asr), Events(), Prosody(), Quality(config.mos)]
    if config.second_asr:
        stages.append(Words(config.second_asr, "second_words"))
    if config.diarization == "pyannote":
        from dia.data.recordings.diarization import PyannoteTurns

        stages.append(PyannoteTurns(config.pyannote))
    else:
        stages.append(Voices())
    return stages


def _recording(waveform: Waveform) -> Recording:
    return Recording("", "", Script(()), waveform, SAMPLE_RATE)
