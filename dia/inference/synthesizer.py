"""Speech from text: the engine's codes through a codec. Validation, generate, the notebook and evaluation all
use this.

Legend: T codec frame, C codec channel.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dia.codecs.protocol import Codec
from dia.config.sampling import Sampling
from dia.errors import UserError
from dia.inference.engine import Request, generate_codes, stream_codes
from dia.inference.streaming import chunk_frames, stream_waveforms
from dia.network import DiaNetwork
from dia.types import Waveform


@dataclass(frozen=True)
class Speech:
    """A spoken text: float32 waveform (samples,), its sample rate in hertz, the codes (T, C) it was decoded
    from, its seed, and whether the model ended by itself."""

    waveform: Waveform
    sample_rate: int
    codes_TC: Tensor
    seed: int
    ended: bool


class Synthesizer:
    """A network and the codec whose codes it speaks.

    Raises :class:`UserError` when the codec has another number of channels or codes than the network.
    """

    def __init__(self, network: DiaNetwork, codec: Codec) -> None:
        require_fitting(network, codec)
        self.network, self.codec = network, codec

    def speak(
        self,
        texts: list[str],
        seeds: list[int],
        sampling: Sampling,
        max_tokens: int | None = None,
        prompts: list[Tensor | None] | None = None,
        compiled: bool = False,
    ) -> list[Speech]:
        """Speak a batch; ``max_tokens`` are decoder steps (by default all the model has), ``prompts`` codes
        (T, C).

        ``compiled`` is as in :func:`dia.inference.generate_codes`.
        """
        given = prompts or [None] * len(texts)
        requests = [Request(*item) for item in zip(texts, seeds, given, strict=True)]
        generated = generate_codes(self.network, requests, sampling, max_tokens or self.most_steps, compiled)
        waveforms = decode_all(self.codec, [item.codes_TC for item in generated])
        return [
            Speech(waveform, self.codec.sample_rate, item.codes_TC, request.seed, item.ended)
            for waveform, item, request in zip(waveforms, generated, requests, strict=True)
        ]

    def stream(
        self, request: Request, sampling: Sampling, max_tokens: int | None = None, compiled: bool = False
    ) -> Iterator[Waveform]:
        """Yield the sound of one request while it is generated: the first a quarter of a second long, after
        the longest delay and one chunk (:func:`dia.inference.streaming.chunk_frames`). Joined it is what
        :meth:`speak` gives.
        """
        frames = chunk_frames(self.codec)
        pieces = stream_codes(
            self.network, request, sampling, max_tokens or self.most_steps, frames, compiled
        )
        return stream_waveforms(self.codec, (piece.codes_TC for piece in pieces if len(piece.codes_TC)))

    @property
    def most_steps(self) -> int:
        """Decoder steps that the model has."""
        return self.network.config.decoder.max_positions


def decode_all(codec: Codec, items: list[Tensor]) -> list[Waveform]:
    """Return the waveforms of codes (T, C) each; no frames are no sound.

    On a GPU those of one length are decoded together, which gives the same up to the rounding of products
    (1e-6). On a CPU each is decoded alone: DAC's wide activations leave the caches in a batch, and a second
    of sound took 1.19 s instead of .77.
    """
    waveforms: list[Waveform] = [np.zeros(0, dtype=np.float32)] * len(items)
    for places in _decoded_together(items):
        decoded = codec.decode(torch.stack([items[place] for place in places])).float().cpu().numpy()
        for place, waveform in zip(places, decoded, strict=True):
            waveforms[place] = waveform
    return waveforms


def _decoded_together(items: list[Tensor]) -> list[list[int]]:
    if not items or items[0].device.type == "cpu":
        return [[place] for place, codes_TC in enumerate(items) if len(codes_TC)]
    lengths = sorted({len(codes_TC) for codes_TC in items} - {0})
    return [[place for place, codes_TC in enumerate(items) if len(codes_TC) == length] for length in lengths]


def require_fitting(network: DiaNetwork, codec: Codec) -> None:
    """Raise :class:`UserError` unless the codec's channels and codebook are those of the network."""
    wanted = (network.config.channels, network.config.decoder.codebook_size)
    if wanted != (codec.channels, codec.codebook_size):
        raise UserError(
            f"the codec {codec.name} has {codec.channels} channels of {codec.codebook_size} codes, the checkpoint "
            f"{wanted[0]} of {wanted[1]}; give the codec that the checkpoint was trained with"
        )
