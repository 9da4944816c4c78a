"""The key-value cache of incremental decoding.

Buffers grow with the sequence instead of being allocated for the longest one, and attention reads the filled
steps rounded up to a block, behind a mask. So shapes change once per block, as a compiled step or a CUDA
graph requires; the position is a tensor, so that no step waits for the device.

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
        """Write the steps at these positions, which must lie within the buffers."""
        self.keys_BKTH.index_copy_(2, positions_T, keys_BKTH)
        self.values_BKTH.index_copy_(2, positions_T, values_BKTH)

    def grow(self, steps: int) -> None:
        """Enlarge the buffers to ``steps`` steps; new ones are zero, which is finite behind a mask."""
        room = (0, 0, 0, steps - self.keys_BKTH.shape[2])
        self.keys_BKTH = torch.nn.functional.pad(self.keys_BKTH, room)
        self.values_BKTH = torch.nn.functional.pad(self.values_BKTH, room)

    def select(self, rows_B: Tensor) -> None:
        """Reduce the batch to these rows."""
        self.keys_BKTH = self.keys_BKTH[rows_B]
        self.values_BKTH = self.values_BKTH[rows_B]


@dataclass
class DecoderCache:
    """Everything that incremental decoding carries from step to step.

    Attributes:
        layers: The self-attention cache of each layer.
        memory: Keys and values of the text for the cross-attention of each layer.
        memory_mask_B11S: True on text.
        position: Position of the next step, a 0-d int64 tensor.
        max_steps: The largest number of steps.
        block: Number of steps by which ``visible`` grows.
        visible: Number of steps that attention reads, behind its mask.
    """

    layers: list[LayerCache]
    memory: list[tuple[Tensor, Tensor]]
    memory_mask_B11S: Tensor
    position: Tensor
    max_steps: int
    block: int
    visible: int = 0

    def reserve(self, steps: int) -> None:
        """Provide room for ``steps`` steps in total; call it before decoding beyond ``visible``."""
        if steps <= self.visible:
            return
        assert steps <= self.max_steps, f"{steps} steps exceed the cache's maximum of {self.max_steps}"
        self.visible = min(-(-steps // self.block) * self.block, self.max_steps)
        room = self.layers[0].keys_BKTH.shape[2]
        if self.visible > room:
            for layer in self.layers:
                layer.grow(min(max(self.visible, 2 * room), self.max_steps))

    def select(self, rows_B: Tensor) -> None:
        """Reduce the batch to these rows, so that items that have ended cost nothing."""
        for layer in self.layers:
            layer.select(rows_B)
        self.memory = [(keys[rows_B], values[rows_B]) for keys, values in self.memory]
        self.memory_mask_B11S = self.memory_mask_B11S[rows_B]
