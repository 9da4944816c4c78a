"""Streaming synthesis: decode a window of the codes while more codes are generated.

The features of a frame are final once as many later frames exist as the codec's context, and they need as
many earlier ones; the codec's vocoder turns the features of consecutive frames into audio. So the stream
equals the audio of the whole sequence up to the rounding of matrix products of other sizes, and has no seams
to smooth.

Legend: T codec frame, C codec channel, L samples, X features of a frame.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dia.codecs.protocol import Codec, frames_per_second
from dia.inference.decoding import finite_waveform, in_groups
from dia.types import Waveform

FIRST_CHUNK = 0.25  # seconds of audio in the first chunk, if the vocoder does not need more
PREVIEW_CHUNK = 0.4  # seconds of audio in the preview of a stream: about as long as the next chunk takes


def first_frames(codec: Codec) -> int:
    """Return the frames whose audio is the first chunk."""
    return max(codec.vocoder().first_frames, round(FIRST_CHUNK * frames_per_second(codec)))


def preview_frames(codec: Codec) -> int:
    """Return the frames whose audio is the preview of a stream."""
    return round(PREVIEW_CHUNK * frames_per_second(codec))


def chunk_frames(codec: Codec) -> int:
    """Return the frames per chunk: the codec's context, and about 0.25 s that can be played at once."""
    return codec.context + first_frames(codec)


@dataclass(frozen=True)
class Window:
    """Codes (T, C) to decode, of which the features of frames ``begin`` to ``end`` are wanted.

    ``preview`` frames are played before their audio is final.
    """

    codes_TC: Tensor
    begin: int
    end: int
    ended: bool
    preview: int = 0


class CodecStream:
    """Decodes the codes of a stream, which arrive in pieces, to audio that is final.

    :meth:`take` returns a window of the codes, and :meth:`audio` turns its features into audio; the windows
    of several streams may be decoded together. Each window costs the decoding of itself and twice the codec's
    context, however long the stream is. With ``preview`` the audio of the first window begins the codec's
    ``preview_context`` after its codes, and agrees with the final one to 50 dB; the next window continues
    after it.
    """

    def __init__(self, codec: Codec, *, preview: bool = False) -> None:
        self.codec = codec
        self._vocoder = codec.vocoder()
        self._preview = preview and codec.preview_context != codec.context
        self._codes_TC: Tensor | None = None
        self._taken = 0  # frames of the stored codes whose features were taken
        self._played = 0  # samples of the preview

    def add(self, piece_TC: Tensor) -> None:
        """Append complete codes (T, C)."""
        self._codes_TC = piece_TC if self._codes_TC is None else torch.cat((self._codes_TC, piece_TC))

    def take(self, ended: bool) -> Window | None:
        """Return the next window, or None when no features are final; ``ended`` makes all of them final."""
        if self._codes_TC is None:
            return None
        end = len(self._codes_TC) - (0 if ended else self.codec.context)
        if end <= self._taken and not ended:
            return None
        preview = 0
        if self._preview and not ended:
            preview = len(self._codes_TC) - self.codec.preview_context
            if preview < preview_frames(self.codec):
                return None
        self._preview = False
        window = Window(self._codes_TC, self._taken, end, ended, preview)
        dropped = max(0, end - max(1, self.codec.context))  # the last window has a frame in any case
        self._codes_TC = self._codes_TC[dropped:]
        self._taken = end - dropped
        return window

    def audio(self, window: Window, features_TX: Tensor) -> Tensor:
        """Return the samples (L,) of a window, from the features of all its codes; windows come in order."""
        waveform_L = self._vocoder.add(features_TX[window.begin : window.end], window.ended)
        if window.preview:
            final = len(waveform_L)
            waveform_L = torch.cat((waveform_L, self._vocoder.preview()))
            waveform_L = waveform_L[: max(final, window.preview * self.codec.hop)]
            self._played = len(waveform_L) - final
            return waveform_L
        skipped = min(self._played, len(waveform_L))
        self._played -= skipped
        return waveform_L[skipped:]


def decode_windows(codec: Codec, windows: Sequence[tuple[CodecStream, Window]]) -> list[Tensor]:
    """Return the samples (L,) of windows of one or several streams, one at most of each; L may be 0.

    The samples are not checked. If the features of a window cannot be decoded, no stream has changed.
    """
    features = dict(in_groups(codec.decode_features, [window.codes_TC for _, window in windows]))
    return [stream.audio(window, features[place]) for place, (stream, window) in enumerate(windows)]


def stream_waveforms(codec: Codec, pieces: Iterable[Tensor]) -> Iterator[Waveform]:
    """Yield the waveforms of codes that arrive in pieces (T, C); joined they are the audio of all codes."""
    stream = CodecStream(codec)
    for piece_TC in pieces:
        stream.add(piece_TC)
        yield from _decoded(codec, stream, ended=False)
    yield from _decoded(codec, stream, ended=True)


def _decoded(codec: Codec, stream: CodecStream, *, ended: bool) -> Iterator[Waveform]:
    if (window := stream.take(ended)) is not None:
        (waveform_L,) = decode_windows(codec, [(stream, window)])
        if len(waveform_L):
            yield finite_waveform(codec, waveform_L)


def in_chunks(waveform: Waveform, sample_rate: int) -> Iterator[Waveform]:
    """Yield a waveform that exists already in chunks of 0.25 s."""
    length = round(FIRST_CHUNK * sample_rate)
    return (waveform[begin : begin + length] for begin in range(0, len(waveform), length))


def reported(chunks: Iterator[Waveform]) -> Iterator[Waveform]:
    """Yield chunks, and print the number of samples and the time after the last."""
    started, samples = time.perf_counter(), 0
    for chunk in chunks:
        samples += len(chunk)
        yield chunk
    print(f"stream: {samples} samples in {time.perf_counter() - started:.2f} s")
