"""Synthesis: texts to waveforms with a network and its codec, as a batch or as a stream.

Legend: T codec frame, C codec channel.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from dia.codecs.protocol import Codec
from dia.config.sampling import Sampling
from dia.errors import UserError
from dia.inference.decoding import decode_all
from dia.inference.engine import generate_codes, stream_codes
from dia.inference.request import Request
from dia.inference.streaming import chunk_frames, stream_waveforms
from dia.network import DiaNetwork
from dia.types import Waveform


@dataclass(frozen=True)
class Speech:
    """A take of a text.

    Attributes:
        waveform: Samples (samples,), float32.
        sample_rate: Hertz.
        codes_TC: The codes (T, C) that were decoded.
        seed: The seed it was generated with.
        ended: Whether the model drew EOS; false when the length limit was reached.
    """

    waveform: Waveform
    sample_rate: int
    codes_TC: Tensor
    seed: int
    ended: bool


class Synthesizer:
    """A network and the codec that decodes its codes.

    Raises :class:`UserError` when the codec has another number of channels or codes than the network.
    """

    def __init__(self, network: DiaNetwork, codec: Codec) -> None:
        require_matching_shapes(network, codec)
        self.network = network
        self.codec = codec

    def synthesize(
        self,
        texts: list[str],
        seeds: list[int],
        sampling: Sampling,
        max_tokens: int | None = None,
        prompts: list[Tensor | None] | None = None,
        compiled: bool = False,
    ) -> list[Speech]:
        """Generate one take of each text.

        Args:
            texts: Scripts; with a prompt, the prompt's transcript comes first.
            seeds: A seed for each text.
            sampling: Sampling values.
            max_tokens: Decoder steps; by default as many as the model has.
            prompts: Codes (T, C) of a voice prompt for each text, or None.
            compiled: As in :func:`dia.inference.generate_codes`.

        Raises:
            UserError: As :func:`dia.inference.generate_codes` does.
        """
        one_each = prompts or [None] * len(texts)
        requests = [Request(*item) for item in zip(texts, seeds, one_each, strict=True)]
        generated = generate_codes(self.network, requests, sampling, max_tokens or self.max_steps, compiled)
        waveforms = decode_all(self.codec, [item.codes_TC for item in generated])
        return [
            Speech(waveform, self.codec.sample_rate, item.codes_TC, request.seed, item.ended)
            for waveform, item, request in zip(waveforms, generated, requests, strict=True)
        ]

    def stream(
        self, request: Request, sampling: Sampling, max_tokens: int | None = None, compiled: bool = False
    ) -> Iterator[Waveform]:
        """Yield the audio of one request in chunks while it is generated.

        The first chunk has about a quarter of a second and needs the longest delay and one chunk of steps
        (:func:`dia.inference.streaming.chunk_frames`). The joined chunks equal :meth:`synthesize`.
        """
        frames = chunk_frames(self.codec)
        pieces = stream_codes(self.network, request, sampling, max_tokens or self.max_steps, frames, compiled)
        return stream_waveforms(self.codec, (piece.codes_TC for piece in pieces if len(piece.codes_TC)))

    @property
    def max_steps(self) -> int:
        """Decoder steps that the model supports."""
        return self.network.config.decoder.max_positions


def require_matching_shapes(network: DiaNetwork, codec: Codec) -> None:
    """Raise :class:`UserError` unless codec and network have the same channels and codebook size."""
    channels, codebook_size = network.config.channels, network.config.decoder.codebook_size
    if (channels, codebook_size) != (codec.channels, codec.codebook_size):
        raise UserError(
            f"the codec {codec.name} has {codec.channels} channels of {codec.codebook_size} codes, the "
            "checkpoint "
            f"{channels} of {codebook_size}; give the codec that the checkpoint was trained with"
        )
