"""Streaming synthesis: decode a window of the codes while more codes are generated.

A frame's audio is final once as many later frames exist as the codec's context, and it needs as many earlier
ones. So the stream equals the audio of the whole sequence up to the rounding of matrix products of other
sizes, and has no seams to smooth.

Legend: T codec frame, C codec channel.
"""

import time
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from dia.codecs.protocol import Codec, frames_per_second
from dia.errors import UserError
from dia.types import Waveform

FIRST_CHUNK = 0.25  # seconds of audio in the first chunk


def chunk_frames(codec: Codec) -> int:
    """Return the frames per chunk: the codec's context, and 0.25 s that can be played at once."""
    return codec.context + round(FIRST_CHUNK * frames_per_second(codec))


def stream_waveforms(codec: Codec, pieces: Iterable[Tensor]) -> Iterator[Waveform]:
    """Yield the waveforms of codes that arrive in pieces (T, C); joined they are the audio of all codes.

    Each piece costs the decoding of itself and twice the codec's context, however long the stream is.
    """
    window_TC: Tensor | None = None
    yielded = 0  # frames of the window whose audio has been yielded
    for piece_TC in pieces:
        window_TC = piece_TC if window_TC is None else torch.cat((window_TC, piece_TC))
        ready = len(window_TC) - codec.context
        if ready > yielded:
            yield _decode_frames(codec, window_TC, yielded, ready)
            dropped = max(0, ready - codec.context)
            window_TC = window_TC[dropped:]
            yielded = ready - dropped
    if window_TC is not None and len(window_TC) > yielded:
        yield _decode_frames(codec, window_TC, yielded, len(window_TC))


def _decode_frames(codec: Codec, codes_TC: Tensor, begin: int, end: int) -> Waveform:
    """Return the audio of frames ``begin`` to ``end``, decoded with all codes as context."""
    waveform: Waveform = decoded_waveforms(codec, codes_TC[None])[0]
    return waveform[begin * codec.hop : end * codec.hop]


def in_chunks(waveform: Waveform, sample_rate: int) -> Iterator[Waveform]:
    """Yield a waveform that exists already in chunks of 0.25 s."""
    length = round(FIRST_CHUNK * sample_rate)
    return (waveform[begin : begin + length] for begin in range(0, len(waveform), length))


def decoded_waveforms(codec: Codec, codes_BTC: Tensor) -> Waveform:
    """Return the waveforms (B, samples) of codes. Raises :class:`UserError` for samples that are not
    finite."""
    waveform_BL: Waveform = codec.decode(codes_BTC).float().cpu().numpy()
    if not np.isfinite(waveform_BL).all():
        raise UserError(
            f"the codec {codec.name} gives samples that are not finite; its weights are "
            "damaged, copy it again"
        )
    return waveform_BL


def reported(chunks: Iterator[Waveform]) -> Iterator[Waveform]:
    """Yield chunks, and print the number of samples and the time after the last."""
    started, samples = time.perf_counter(), 0
    for chunk in chunks:
        samples += len(chunk)
        yield chunk
    print(f"stream: {samples} samples in {time.perf_counter() - started:.2f} s")
