"""Speech from text: the engine's codes through a codec. Validation, generate, the notebook and evaluation all use this.

Legend: T codec frame, C codec channel.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dia.audio.codec import Codec
from dia.errors import UserError
from dia.inference.engine import Request, generate_codes
from dia.inference.sampling import Sampling
from dia.network import DiaNetwork


@dataclass(frozen=True)
class Speech:
    """A spoken text: float32 wave (samples,), its sample rate in hertz, the codes (T, C) it was decoded from, its seed, and
    whether the model ended by itself."""

    wave: NDArray[np.float32]
    sample_rate: int
    codes_TC: torch.Tensor
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
        prompts: list[torch.Tensor | None] | None = None,
    ) -> list[Speech]:
        """Speak a batch; ``max_tokens`` are decoder steps (by default all the model has), ``prompts`` codes (T, C)."""
        given = prompts or [None] * len(texts)
        requests = [Request(*item) for item in zip(texts, seeds, given, strict=True)]
        steps = max_tokens or self.network.config.decoder.max_positions
        generated = generate_codes(self.network, requests, sampling, steps)
        return [
            Speech(self._decode(item.codes_TC), self.codec.sample_rate, item.codes_TC, request.seed, item.ended)
            for item, request in zip(generated, requests, strict=True)
        ]

    def _decode(self, codes_TC: torch.Tensor) -> NDArray[np.float32]:
        """Decode one item; no frames at all (EOS at once) are no sound, which codecs cannot decode."""
        if len(codes_TC) == 0:
            return np.zeros(0, dtype=np.float32)
        wave: NDArray[np.float32] = self.codec.decode(codes_TC[None]).squeeze(0).float().cpu().numpy()
        return wave


def require_fitting(network: DiaNetwork, codec: Codec) -> None:
    """Raise :class:`UserError` unless the codec's channels and codebook are those of the network."""
    wanted = (network.config.channels, network.config.decoder.codebook_size)
    if wanted != (codec.channels, codec.codebook_size):
        raise UserError(
            f"the codec {codec.name} has {codec.channels} channels of {codec.codebook_size} codes, the checkpoint "
            f"{wanted[0]} of {wanted[1]}; give the codec that the checkpoint was trained with"
        )
