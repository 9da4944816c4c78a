"""Jobs that make the takes of checkpoints in any process, in which each checkpoint is opened once.

Legend: B take, L samples, T codec frame, C codec channel.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from dia.audio.files import resample
from dia.checkpoint.adapter import weights_fingerprint
from dia.codecs.protocol import pad_to_frames
from dia.codecs.registry import portable_name
from dia.config.sampling import SamplingOverrides
from dia.errors import UserError
from dia.evaluation.cache import ContentCache, Take
from dia.evaluation.generation_protocols import GenerationProtocol
from dia.home import existing
from dia.inference.guard import GuardedSpeech
from dia.inference.long_form import join_waveforms
from dia.inference.voice import Voice
from dia.model import Dia
from dia.resources import SHIPPED_CHECKPOINTS
from dia.types import Waveform

Codes = NDArray[np.int64]  # (T, C); a tensor would be sent to a worker as shared memory


@dataclass(frozen=True)
class CheckpointSource:
    """How any process opens a checkpoint. ``codec`` is empty for that of the checkpoint."""

    name: str
    codec: str
    quantization: str | None
    sampling: SamplingOverrides

    def open(self, device: str | None = None) -> Dia:
        """Open the checkpoint. Raises :class:`UserError` when it is missing or damaged."""
        codec = self.codec or None
        dia = Dia.from_pretrained(self.name, device=device, codec=codec, quantization=self.quantization)
        return dia.sampling(**asdict(self.sampling))

    def open_expected(self, device: str, expected: Mapping[str, str]) -> Dia:
        """Open the checkpoint in a worker; ``expected`` are the fingerprints of the command's.

        Raises :class:`UserError` for other weights, such as on another machine.
        """
        dia = self.open(device)
        if fingerprints(dia) != expected:
            raise UserError(
                f"a worker opens other weights as {self.name} than this command; "
                "give it the same files, and do not change them during an evaluation"
            )
        return dia

    def portable(self, dia: Dia) -> "CheckpointSource":
        """Return the source of ``dia`` for a process with another working directory."""
        is_path = self.name not in SHIPPED_CHECKPOINTS and existing(self.name).exists()
        name = str(existing(self.name).absolute()) if is_path else self.name
        return replace(self, name=name, codec=portable_name(dia.codec.name))


def fingerprints(dia: Dia) -> dict[str, str]:
    """Return what identifies the weights of a checkpoint and the sound of its codec."""
    weights = weights_fingerprint(dia.network.state_dict().items())
    return {"weights": weights, "codec": dia.codec.audio_fingerprint}


class TakeJob(Protocol):
    """Work of one checkpoint; ``number`` identifies it among the jobs of a run."""

    @property
    def number(self) -> int:
        """The number of the job."""
        ...

    @property
    def checkpoint(self) -> str:
        """The checkpoint: `model` or `baseline`."""
        ...

    def make(self, dia: Dia, cache: ContentCache) -> list[Take]:
        """Return the takes, which are stored in the cache where a later evaluation needs them."""
        ...


@dataclass(frozen=True)
class TakeRequest:
    """A take to generate: its key in the cache, its text (after the voice's transcript), seed and prompt."""

    key: str
    text: str
    seed: int
    prompt_TC: Codes | None


@dataclass(frozen=True)
class GenerateBatch:
    """Generate takes together, without the guard: an evaluation scores the first attempt."""

    number: int
    checkpoint: str
    requests: tuple[TakeRequest, ...]

    def make(self, dia: Dia, cache: ContentCache) -> list[Take]:
        """Return a take of each request."""
        speeches = dia.synthesizer.synthesize(
            [request.text for request in self.requests],
            [request.seed for request in self.requests],
            dia.default_sampling,
            prompts=[
                None if request.prompt_TC is None else torch.from_numpy(request.prompt_TC)
                for request in self.requests
            ],
        )
        return [
            cache.store_take(request.key, Take(speech.waveform, speech.sample_rate, speech.ended))
            for request, speech in zip(self.requests, speeches, strict=True)
        ]


@dataclass(frozen=True)
class GenerateByProtocol:
    """Generate one take by a protocol: a script in pieces or in one pass, with retries after the guard.

    ``voice`` holds the values of a :class:`Voice` but its codes, which are ``prompt_TC`` of the request; None
    leaves the voice to the model.
    """

    number: int
    checkpoint: str
    request: TakeRequest
    voice: Mapping[str, Any] | None
    protocol: GenerationProtocol

    def make(self, dia: Dia, cache: ContentCache) -> list[Take]:
        """Return the take; it has ended when each of its pieces has."""
        voice = None
        if self.voice is not None:
            voice = Voice(**self.voice, codes_TC=torch.from_numpy(self.request.prompt_TC))
        speeches = [item.speech for item in self._speak(dia, voice)]
        pieces = [speech.waveform for speech in speeches]
        if self.protocol.in_pieces:
            pieces = list(join_waveforms(pieces, dia.codec.sample_rate))
        waveform = np.concatenate([np.zeros(0, dtype=np.float32), *pieces])
        take = Take(waveform, dia.codec.sample_rate, all(speech.ended for speech in speeches))
        return [cache.store_take(self.request.key, take)]

    def _speak(self, dia: Dia, voice: Voice | None) -> list[GuardedSpeech]:
        text, seed, protocol = self.request.text, self.request.seed, self.protocol
        if not protocol.in_pieces:
            return dia.speak([text], [seed], voice=voice, retries=protocol.retries, lint="off")
        return list(
            dia.speak_pieces(
                text,
                voice,
                seed,
                piece_seconds=protocol.piece_seconds,
                retries=protocol.retries,
                lint="off",
                context=protocol.context,
            )
        )


@dataclass(frozen=True)
class RoundTrip:
    """Encode and decode a recording by the codec: the upper limit of a model's audio quality."""

    number: int
    checkpoint: str
    waveform: Waveform
    sample_rate: int

    def make(self, dia: Dia, cache: ContentCache) -> list[Take]:
        """Return the decoded recording, which is not stored."""
        waveform_L = resample(self.waveform, self.sample_rate, dia.codec.sample_rate)
        waveform_BL = torch.from_numpy(waveform_L)[None]
        decoded_BL = dia.codec.decode(dia.codec.encode(pad_to_frames(waveform_BL, dia.codec.hop)))
        decoded = decoded_BL[0, : len(waveform_L)].cpu().numpy()
        return [Take(decoded, dia.codec.sample_rate, True)]


Takes = tuple[int, list[Take]]  # the number of a job, and its takes


class TakeMaker:
    """Makes takes; an engine sends it to its workers, each of which opens the checkpoints that it needs.

    ``checkpoints`` has the opened checkpoints by name, ``sources`` how another process opens each.
    """

    def __init__(
        self, checkpoints: Mapping[str, Dia], sources: Mapping[str, CheckpointSource], cache: ContentCache
    ) -> None:
        self.cache = cache
        self._opened, self._sources = dict(checkpoints), dict(sources)
        self._expected: dict[str, dict[str, str]] = {}  # what identifies the checkpoints, in a worker
        self._devices: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        opened = self._opened.items()
        return {
            "cache": ContentCache(self.cache.folder.absolute()),
            "_opened": {},
            "_sources": {name: self._sources[name].portable(dia) for name, dia in opened},
            "_expected": {name: fingerprints(dia) for name, dia in opened},
            "_devices": {name: device_type(dia) for name, dia in opened},
        }

    def __call__(self, job: TakeJob) -> Takes:
        """Return the takes of a job."""
        return job.number, job.make(self._checkpoint(job.checkpoint), self.cache)

    def _checkpoint(self, name: str) -> Dia:
        """Return the checkpoint of a name.

        Raises :class:`UserError` for one with other weights than in the command, such as on another machine.
        """
        if name not in self._opened:
            source, device = self._sources[name], self._devices[name]
            self._opened[name] = source.open_expected(device, self._expected[name])
        return self._opened[name]


def device_type(dia: Dia) -> str:
    """Return `cpu` or `cuda`."""
    return next(dia.network.parameters()).device.type
