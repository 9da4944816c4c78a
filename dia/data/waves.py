"""Crops of sound for training a codec: step n is the same crops wherever training began.

Legend: B batch, L samples.
"""

from collections.abc import Iterator

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from torch.utils.data import IterableDataset

from dia.audio.files import resample, wave_from_bytes


def read_waves(rows: Dataset, sample_rate: int) -> np.ndarray:
    """Return all sound of a split end to end, float32 (samples,), at ``sample_rate`` hertz."""
    waves = [resample(*wave_from_bytes(row["audio"]["bytes"]), sample_rate) for row in rows.select_columns(["audio"])]
    return np.concatenate(waves)


class TrainingCrops(IterableDataset[Tensor]):
    """Batches (B, L) of random crops for the steps ``start`` to ``stop``."""

    def __init__(self, waves: np.ndarray, clips: int, samples: int, seed: int, start: int, stop: int) -> None:
        self.waves, self.clips, self.samples = waves, clips, samples
        self.seed, self.start, self.stop = seed, start, stop

    def __iter__(self) -> Iterator[Tensor]:
        for step in range(self.start, self.stop):
            places = np.random.default_rng((self.seed, step)).integers(0, len(self.waves) - self.samples, self.clips)
            yield torch.from_numpy(np.stack([self.waves[place : place + self.samples] for place in places]))
