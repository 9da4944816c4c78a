"""Sound while codes still come: a window of the codes is decoded, never the whole sequence.

A frame's sound is final once the codec's context of later frames is there, and needs as many earlier ones; so
a stream is the sound of the whole, up to the rounding of products of other sizes, and has no seam to be
smoothed.

Legend: T codec frame, C codec channel.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from dia.codecs.protocol import Codec, frames_per_second
from dia.types import Waveform

FIRST_SOUND = 0.25  # seconds that the first chunk gives


def chunk_frames(codec: Codec) -> int:
    """Return the frames of a chunk: what the codec looks ahead, and a quarter of a second to be heard at
    once.
    """
    return codec.context + round(FIRST_SOUND * frames_per_second(codec))


def stream_waveforms(codec: Codec, pieces: Iterable[Tensor]) -> Iterator[Waveform]:
    """Yield waveforms (samples,), float32, of codes that come in pieces (T, C); joined they are the sound of
    all codes.

    Each piece costs the decoding of itself and twice the codec's context, however long the stream is.
    """
    kept_TC: Tensor | None = None
    given = 0  # frames of what is kept whose sound has been given out
    for piece_TC in pieces:
        kept_TC = piece_TC if kept_TC is None else torch.cat((kept_TC, piece_TC))
        ready = len(kept_TC) - codec.context
        if ready > given:
            yield _sound(codec, kept_TC, given, ready)
            forgotten = max(0, ready - codec.context)
            kept_TC, given = kept_TC[forgotten:], ready - forgotten
    if kept_TC is not None and len(kept_TC) > given:
        yield _sound(codec, kept_TC, given, len(kept_TC))


def _sound(codec: Codec, codes_TC: Tensor, begin: int, end: int) -> Waveform:
    """Sound of frames ``begin`` to ``end``, with all codes given as context."""
    waveform: Waveform = codec.decode(codes_TC[None])[0].float().cpu().numpy()
    return waveform[begin * codec.hop : end * codec.hop]
