"""Random clips for tests of training."""

import random

import torch

from dia.data.collation import Example, collate
from tests.conftest import TINY


class RandomClips:
    """Clips of these frames with random text and codes."""

    weights = None
    clips_per_sample = 1

    def __init__(self, frames, config=TINY, seed=0, texts=None):
        rng = torch.Generator().manual_seed(seed)
        self.frames, self.config, self.clips = list(frames), config, []
        for number, length in enumerate(frames):
            text = torch.randint(1, 200, (4 + length,), generator=rng) if texts is None else texts[number]
            codes = torch.randint(0, config.decoder.codebook_size, (length, config.channels), generator=rng)
            self.clips.append(Example(f"clip-{number}", text, codes))

    def with_prompts(self, rng):
        return self

    def examples(self, index: int, rng: random.Random) -> list[Example]:
        return [self.clips[index]]

    def all_codes(self):
        return (example.codes_TC for example in self.clips)

    def batch(self, *numbers):
        return collate([self.clips[number] for number in numbers], [False] * len(numbers), self.config)
