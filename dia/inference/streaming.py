"""Streaming synthesis: decode a window of the codes while more codes are generated.

A frame's audio is final once as many later frames exist as the codec's context, and it needs as many earlier
ones. So the stream equals the audio of the whole sequence up to the rounding of matrix products of other
sizes, and has no seams to smooth.

Legend: T codec frame, C codec channel.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Window:
    """Codes (T, C) to decode, of which the audio of frames ``begin`` to ``end`` is wanted."""

    codes_TC: Tensor
    begin: int
    end: int

    def cut(self, waveform: Waveform, hop: int) -> Waveform:
        """Return the wanted part of the audio of all codes."""
        return waveform[self.begin * hop : self.end * hop]


class StreamWindows:
    """Cuts the codes of a stream, which arrive in pieces, into windows whose audio is final.

    Each piece costs the decoding of itself and twice the codec's context, however long the stream is. The
    first window needs ``first_context`` later frames only.
    """

    def __init__(self, context: int, first_context: int | None = None) -> None:
        self.context = context
        self._following = context if first_context is None else first_context
        self._codes_TC: Tensor | None = None
        self._taken = 0  # frames of the stored codes whose audio was taken

    def add(self, piece_TC: Tensor) -> None:
        """Append complete codes (T, C)."""
        self._codes_TC = piece_TC if self._codes_TC is None else torch.cat((self._codes_TC, piece_TC))

    def take(self, ended: bool) -> Window | None:
        """Return the next window, or None when no further audio is final; ``ended`` makes all of it final."""
        if self._codes_TC is None:
            return None
        end = len(self._codes_TC) - (0 if ended else self._following)
        if end <= self._taken:
            return None
        self._following = self.context
        window = Window(self._codes_TC, self._taken, end)
        dropped = max(0, end - self.context)
        self._codes_TC = self._codes_TC[dropped:]
        self._taken = end - dropped
        return window


def stream_waveforms(codec: Codec, pieces: Iterable[Tensor]) -> Iterator[Waveform]:
    """Yield the waveforms of codes that arrive in pieces (T, C); joined they are the audio of all codes."""
    windows = StreamWindows(codec.context)
    for piece_TC in pieces:
        windows.add(piece_TC)
        if (window := windows.take(ended=False)) is not None:
            yield decode_window(codec, window)
    if (window := windows.take(ended=True)) is not None:
        yield decode_window(codec, window)


def decode_window(codec: Codec, window: Window) -> Waveform:
    """Return the wanted audio of a window."""
    return window.cut(decoded_waveforms(codec, window.codes_TC[None])[0], codec.hop)


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
