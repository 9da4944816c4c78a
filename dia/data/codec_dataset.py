"""Random audio crops for codec training; the crops of a step are a pure function of the step.

Legend: B batch, L samples, N nonverbals.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from dia.audio.files import resample, waveform_from_bytes

FULL_SCALE = 32_767  # of 16-bit samples, in which hours of audio fit into memory


@dataclass(frozen=True)
class SplitAudio:
    """The concatenated audio of a split, 16 bits (samples,), and its nonverbals as sample ranges (N, 2)."""

    waveform: NDArray[np.int16]
    nonverbals_N2: NDArray[np.int64]


def load_split_audio(rows: Dataset, sample_rate: int) -> SplitAudio:
    """Return the audio of a split at ``sample_rate`` hertz."""
    waveforms, spans, length = [], [], 0
    for row in rows.select_columns(["audio", "nonverbals"]):
        waveform = resample(*waveform_from_bytes(row["audio"]["bytes"]), sample_rate)
        times = [(item["start"], item["end"]) for item in row["nonverbals"]]
        spans += [
            [length + round(start * sample_rate), length + round(end * sample_rate)]
            for start, end in times
            if start is not None and end is not None
        ]
        waveforms.append((waveform.clip(-1, 1) * FULL_SCALE).round().astype(np.int16))
        length += len(waveform)
    return SplitAudio(np.concatenate(waveforms), np.array(spans, dtype=np.int64).reshape(-1, 2))


class TrainingCrops(IterableDataset[Tensor]):
    """Batches (B, L) of random crops in -1..1 for the steps ``start`` to ``stop`` (exclusive).

    ``holding`` crops of each batch contain a nonverbal.
    """

    def __init__(
        self, sound: SplitAudio, clips: int, samples: int, holding: int, seed: int, start: int, stop: int
    ) -> None:
        self.sound, self.clips, self.samples = sound, clips, samples
        self.holding = holding if len(sound.nonverbals_N2) else 0
        self.seed, self.start, self.stop = seed, start, stop

    def __iter__(self) -> Iterator[Tensor]:
        for step in range(self.start, self.stop):
            crops = [self.sound.waveform[place : place + self.samples] for place in self._places(step)]
            yield torch.from_numpy(np.stack(crops).astype(np.float32) / FULL_SCALE)

    def _places(self, step: int) -> NDArray[np.int64]:
        """First samples of the crops: uniform, or such that the middle of the crop lies in a nonverbal."""
        rng, last = np.random.default_rng((self.seed, step)), len(self.sound.waveform) - self.samples
        places = rng.integers(0, last, self.clips)
        if self.holding:
            start, end = rng.choice(self.sound.nonverbals_N2, self.holding).T
            places[: self.holding] = (
                rng.integers(start, np.maximum(end, start + 1)) - self.samples // 2
            ).clip(0, last)
        return places
