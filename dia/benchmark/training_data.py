"""Synthetic training clips: random texts and codes with log-normal lengths, as in speech corpora."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dia.data.batching import plan_epoch
from dia.data.collation import Example, decoder_steps
from dia.network import DiaConfig

SHORTEST = 20  # frames
TEXT_BYTES = 0.174  # for each frame: 15 bytes a second at 86 frames a second


@dataclass(frozen=True)
class LengthDistribution:
    """Clip lengths: median in codec frames, and deviation of the logarithm (.5 to .8 in speech corpora)."""

    median: float
    deviation: float


class SyntheticClips:
    """See :class:`dia.data.batching.Clips`; the same seed gives the same clips."""

    clips_per_sample = 1

    def __init__(self, count: int, lengths: LengthDistribution, config: DiaConfig, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        lengths_in_frames = lengths.median * np.exp(lengths.deviation * rng.standard_normal(count))
        self.frames = [int(frames) for frames in lengths_in_frames.clip(SHORTEST, config.max_frames)]
        self.config, self.seed = config, seed
        self.weights: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def text_bytes(self, index: int) -> int:
        """Return the length of a clip's text in bytes."""
        return min(max(8, round(self.frames[index] * TEXT_BYTES)), self.config.encoder.max_positions)

    def with_prompts(self, rng: random.Random) -> "SyntheticClips":
        """Return the clips, which have no prompts."""
        return self

    def examples(self, index: int, rng: random.Random) -> list[Example]:
        """Return one clip."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
        text_S = torch.randint(3, 256, (self.text_bytes(index),), generator=generator)
        shape = (self.frames[index], self.config.channels)
        codes_TC = torch.randint(self.config.decoder.codebook_size, shape, generator=generator)
        return [Example(f"clip-{index}", text_S, codes_TC)]

    def all_codes(self) -> Iterator[Tensor]:
        """Yield the codes of every clip."""
        return (self.examples(index, random.Random())[0].codes_TC for index in range(len(self)))


def packed_budget(clips: SyntheticClips, per_batch: int) -> int:
    """Return the budget of steps for packed batches with a mean of about ``per_batch`` clips."""
    lengths = [decoder_steps(frames, clips.config) for frames in clips.frames]
    # a batch ends before the clip that does not fit: half a clip of a batch stays free
    return max(max(lengths), round((per_batch + 0.5) * sum(lengths) / len(lengths)))


def budget_for(clips: SyntheticClips, per_batch: int) -> int:
    """Return the budget of padded steps for batches with a mean of ``per_batch`` clips."""
    lengths = [decoder_steps(frames, clips.config) for frames in clips.frames]
    target = len(lengths) / per_batch
    # the number of batches is not monotonic in the budget
    candidates = np.linspace(max(lengths), max(lengths) + 2 * sum(lengths) / target, 200).astype(int)
    return int(min(candidates, key=lambda budget: abs(len(plan_epoch(lengths, int(budget), 0, 0)) - target)))
