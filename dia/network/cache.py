"""Keys and values kept while decoding step by step.

Legend: B batch, K key-value heads, T step, H head width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


class LayerCache:
    """Keys and values of one self-attention layer, written in place up to a fixed number of steps."""

    def __init__(self, batch: int, heads: int, steps: int, head_width: int, like: Tensor) -> None:
        self.keys_BKTH = like.new_zeros(batch, heads, steps, head_width)
        self.values_BKTH = torch.zeros_like(self.keys_BKTH)

    def append(self, at: int, keys_BKTH: Tensor, values_BKTH: Tensor) -> tuple[Tensor, Tensor]:
        """Write new steps from step ``at`` on; return keys and values of all steps so far."""
        end = at + keys_BKTH.shape[2]
        assert end <= self.keys_BKTH.shape[2], "the cache was made for fewer steps"
        self.keys_BKTH[:, :, at:end] = keys_BKTH
        self.values_BKTH[:, :, at:end] = values_BKTH
        return self.keys_BKTH[:, :, :end], self.values_BKTH[:, :, :end]


@dataclass
class DecoderCache:
    """What decoding carries from step to step: self-attention caches, cross-attention keys and values, and the length."""

    layers: list[LayerCache]
    memory: list[tuple[Tensor, Tensor]]
    memory_mask_B11S: Tensor
    length: int = 0
