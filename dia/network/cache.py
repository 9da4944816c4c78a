"""Keys and values kept while decoding step by step.

Nothing is made for more steps than there are: buffers grow with the sequence, and attention looks at the
steps there are, rounded up to a block, behind a mask. So shapes change once a block, which a compiled step or
a CUDA graph needs, and the position is a tensor, so that no step waits for the device.

Legend: B batch, K key-value heads, N heads, S text byte, T step, H head width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 64  # steps


class LayerCache:
    """Keys and values of one self-attention layer."""

    def __init__(self, batch: int, heads: int, head_dim: int, like: Tensor) -> None:
        self.keys_BKTH = like.new_zeros(batch, heads, 0, head_dim)
        self.values_BKTH = torch.zeros_like(self.keys_BKTH)

    def write(self, positions_T: Tensor, keys_BKTH: Tensor, values_BKTH: Tensor) -> None:
        """Write the steps at these positions, for which there must be room."""
        self.keys_BKTH.index_copy_(2, positions_T, keys_BKTH)
        self.values_BKTH.index_copy_(2, positions_T, values_BKTH)

    def grow(self, steps: int) -> None:
        """Make room for this many steps in all; new ones hold zeros, which are finite behind a mask."""
        room = (0, 0, 0, steps - self.keys_BKTH.shape[2])
        self.keys_BKTH = torch.nn.functional.pad(self.keys_BKTH, room)
        self.values_BKTH = torch.nn.functional.pad(self.values_BKTH, room)

    def keep(self, rows_B: Tensor) -> None:
        """Keep only these rows of the batch."""
        self.keys_BKTH, self.values_BKTH = self.keys_BKTH[rows_B], self.values_BKTH[rows_B]


@dataclass
class DecoderCache:
    """What decoding carries from step to step: self-attention caches, cross-attention keys and values of the
    text, and the position (0-d, int64) of the next step. ``visible`` are the steps that attention looks at
    behind its mask.
    """

    layers: list[LayerCache]
    memory: list[tuple[Tensor, Tensor]]
    memory_mask_B11S: Tensor
    position: Tensor
    most_steps: int
    block: int
    visible: int = 0

    def reserve(self, steps: int) -> None:
        """Make the next steps possible, up to ``steps`` in all. To be called before a step that passes what
        is visible.
        """
        if steps <= self.visible:
            return
        assert steps <= self.most_steps, "the cache was made for fewer steps"
        self.visible = min(-(-steps // self.block) * self.block, self.most_steps)
        room = self.layers[0].keys_BKTH.shape[2]
        if self.visible > room:
            for layer in self.layers:
                layer.grow(min(max(self.visible, 2 * room), self.most_steps))

    def keep(self, rows_B: Tensor) -> None:
        """Keep only these rows of the batch: what has ended costs nothing any more."""
        for layer in self.layers:
            layer.keep(rows_B)
        self.memory = [(keys[rows_B], values[rows_B]) for keys, values in self.memory]
        self.memory_mask_B11S = self.memory_mask_B11S[rows_B]
