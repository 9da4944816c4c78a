"""Encode audio as codec tokens, in overlapping windows and batches of windows.

Clips longer than a window are split into windows of equal length that overlap by the encoder's context, so
that the codes equal those of the whole clip and memory is bounded. In batches all windows have the same
length, so that windows of different clips can be encoded together; without batching they are as short as
their clip allows, which minimises repeated computation. Batches depend on the clips alone and not on the
worker, because matrix products of another size round differently.

Legend: B batch, L samples, T codec frames, C codec channels.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dia.audio.files import resample
from dia.codecs.protocol import Codec, pad_to_frames
from dia.types import Waveform

WINDOW_SECONDS = 8.0
Codes = NDArray[np.uint16]


@dataclass(frozen=True)
class Window:
    """Frames ``begin`` to ``end`` of a clip; ``keep`` to ``keep_end`` do not depend on frames outside."""

    clip: int
    begin: int
    end: int
    keep: int
    keep_end: int


def plan_windows(clip: int, frames: int, window: int, context: int) -> list[Window]:
    """Return windows whose used frames cover the clip exactly once.

    All have ``window`` frames, unless the clip is shorter.
    """
    if frames <= window:
        return [Window(clip, 0, frames, 0, frames)]
    windows, done = [], 0
    while done < frames:
        begin = min(max(0, done - context), frames - window)
        end = begin + window
        keep_end = frames if end == frames else end - context
        windows.append(Window(clip, begin, end, done, keep_end))
        done = keep_end
    return windows


def even_window(frames: int, longest: int, context: int) -> int:
    """Return the shortest window with which a clip needs as many windows as with ``longest``."""
    if frames <= longest:
        return frames
    count = math.ceil((frames - 2 * context) / (longest - 2 * context))
    return math.ceil((frames - 2 * context) / count) + 2 * context


class Tokenizer:
    """Encodes waveforms in batches of ``batch`` windows (a CPU is fastest with one)."""

    def __init__(self, codec: Codec, batch: int = 1, window_seconds: float = WINDOW_SECONDS) -> None:
        self.codec, self.batch = codec, batch
        self.window = max(2 * codec.encode_context + 1, round(window_seconds * codec.sample_rate / codec.hop))

    def codes(self, waveforms: list[Waveform], sample_rate: int) -> list[Codes]:
        """Return the codes (T, C), uint16, of mono waveforms at ``sample_rate`` hertz.

        The last frame is padded with silence.
        """
        hop, padded = self.codec.hop, []
        for waveform in waveforms:
            resampled = torch.from_numpy(resample(waveform, sample_rate, self.codec.sample_rate))
            padded.append(pad_to_frames(resampled[None], hop)[0])
        codes = [
            np.empty((len(waveform_L) // hop, self.codec.channels), dtype=np.uint16) for waveform_L in padded
        ]
        by_length = defaultdict(list)
        for clip, waveform_L in enumerate(padded):
            for window in self._windows(clip, len(waveform_L) // hop):
                by_length[window.end - window.begin].append(window)
        for windows in by_length.values():
            for first in range(0, len(windows), self.batch):
                self._encode(windows[first : first + self.batch], padded, codes)
        return codes

    def _windows(self, clip: int, frames: int) -> list[Window]:
        context = self.codec.encode_context
        size = self.window if self.batch > 1 else even_window(frames, self.window, context)
        return plan_windows(clip, frames, size, context)

    def _encode(self, windows: list[Window], waveforms: list[torch.Tensor], codes: list[Codes]) -> None:
        """Write the used frames of windows of equal length into ``codes``."""
        hop = self.codec.hop
        waveform_BL = torch.stack(
            [waveforms[item.clip][item.begin * hop : item.end * hop] for item in windows]
        )
        for item, codes_TC in zip(windows, self.codec.encode(waveform_BL).cpu().numpy(), strict=True):
            codes[item.clip][item.keep : item.keep_end] = codes_TC[
                item.keep - item.begin : item.keep_end - item.begin
            ]
