"""Decoding of several code sequences by a codec.

Legend: T codec frame, C codec channel.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from dia.codecs.protocol import Codec
from dia.errors import UserError
from dia.types import Waveform


def decode_all(codec: Codec, items: Sequence[Tensor]) -> list[Waveform]:
    """Return the waveforms of several code sequences (T, C); an empty sequence gives an empty waveform.

    On a GPU sequences of the same length are decoded together, which agrees with decoding them alone up to
    the rounding of matrix products (1e-6). On a CPU each is decoded alone: in a batch DAC's wide activations
    exceed the caches, and one second of audio took 1.19 s instead of .77. Raises :class:`UserError` for
    samples that are not finite.
    """
    waveforms: list[Waveform] = [np.zeros(0, dtype=np.float32)] * len(items)
    for place, waveform_L in in_groups(codec.decode, items):
        waveforms[place] = finite_waveform(codec, waveform_L)
    return waveforms


def in_groups(function: Callable[[Tensor], Tensor], items: Sequence[Tensor]) -> Iterator[tuple[int, Tensor]]:
    """Yield the places of code sequences (T, C) that are not empty, and what ``function`` returns for each.

    Its argument is a batch (B, T, C): on a GPU of the sequences of one length, on a CPU of one sequence.
    """
    for places in _groups(items):
        yield from zip(places, function(torch.stack([items[place] for place in places])), strict=True)


def finite_waveform(codec: Codec, waveform_L: Tensor) -> Waveform:
    """Return samples as an array. Raises :class:`UserError` for samples that are not finite."""
    waveform: Waveform = waveform_L.float().cpu().numpy()
    if not np.isfinite(waveform).all():
        raise UserError(
            f"the codec {codec.name} gives samples that are not finite; its weights are damaged, copy it "
            "again"
        )
    return waveform


def _groups(items: Sequence[Tensor]) -> list[list[int]]:
    if not items or items[0].device.type == "cpu":
        return [[place] for place, codes_TC in enumerate(items) if len(codes_TC)]
    lengths = sorted({len(codes_TC) for codes_TC in items} - {0})
    return [[place for place, codes_TC in enumerate(items) if len(codes_TC) == length] for length in lengths]
