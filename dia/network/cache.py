"""The key-value cache of incremental decoding.

Buffers grow with the sequence instead of being allocated for the longest one, and attention reads the filled
steps rounded up to a block, behind a mask. So shapes change once per block, as a compiled step or a CUDA
graph requires; the positions are a tensor, so that no step waits for the device. Each item has a position of
its own, so that items can join a batch that is being decoded.

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

    def write(self, positions_BT: Tensor, keys_BKTH: Tensor, values_BKTH: Tensor) -> None:
        """Write the steps at each item's positions, which must lie within the buffers."""
        places = torch.arange(len(positions_BT), device=positions_BT.device)[:, None], positions_BT
        stored = self.keys_BKTH.dtype
        self.keys_BKTH.transpose(1, 2).index_put_(places, keys_BKTH.transpose(1, 2).to(stored))
        self.values_BKTH.transpose(1, 2).index_put_(places, values_BKTH.transpose(1, 2).to(stored))

    def grow(self, steps: int) -> None:
        """Enlarge the buffers to ``steps`` steps; new ones are zero, which is finite behind a mask."""
        room = (0, 0, 0, steps - self.keys_BKTH.shape[2])
        self.keys_BKTH = torch.nn.functional.pad(self.keys_BKTH, room)
        self.values_BKTH = torch.nn.functional.pad(self.values_BKTH, room)

    def select(self, rows_B: Tensor) -> None:
        """Reduce the batch to these rows."""
        self.keys_BKTH = self.keys_BKTH[rows_B]
        self.values_BKTH = self.values_BKTH[rows_B]

    def append(self, other: "LayerCache") -> None:
        """Add the rows of another cache after those of this one; both get the room of the larger."""
        steps = max(self.keys_BKTH.shape[2], other.keys_BKTH.shape[2])
        for cache in (self, other):
            cache.grow(steps)
        self.keys_BKTH = torch.cat((self.keys_BKTH, other.keys_BKTH))
        self.values_BKTH = torch.cat((self.values_BKTH, other.values_BKTH))


@dataclass
class DecoderCache:
    """Everything that incremental decoding carries from step to step.

    Attributes:
        layers: The self-attention cache of each layer.
        memory: Keys and values of the text for the cross-attention of each layer.
        memory_mask_B11S: True on text.
        position_B: Position of each item's next step, int64.
        max_steps: The largest number of steps.
        block: Number of steps by which ``visible`` grows.
        visible: Number of steps that attention reads, behind its mask.
    """

    layers: list[LayerCache]
    memory: list[tuple[Tensor, Tensor]]
    memory_mask_B11S: Tensor
    position_B: Tensor
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
        self.position_B = self.position_B[rows_B]

    def trim(self, steps: int, text: int) -> None:
        """Let attention read no more than ``steps`` steps, in whole blocks, and the first ``text`` bytes."""
        self.visible = min(-(-steps // self.block) * self.block, self.visible)
        if text < self.memory_mask_B11S.shape[3]:
            self.memory = [(keys[:, :, :text], values[:, :, :text]) for keys, values in self.memory]
            self.memory_mask_B11S = self.memory_mask_B11S[..., :text]

    def append(self, other: "DecoderCache") -> None:
        """Add the rows of another cache, of as many steps at most, after those of this one.

        Texts are padded to the longest, behind their masks. ``other`` must not be used afterwards.
        """
        assert self.max_steps == other.max_steps, f"{other.max_steps} steps join {self.max_steps}"
        for layer, added in zip(self.layers, other.layers, strict=True):
            layer.append(added)
        self.memory = [
            (append_padded(keys, other_keys, 2), append_padded(values, other_values, 2))
            for (keys, values), (other_keys, other_values) in zip(self.memory, other.memory, strict=True)
        ]
        self.memory_mask_B11S = append_padded(self.memory_mask_B11S, other.memory_mask_B11S, 3)
        self.position_B = torch.cat((self.position_B, other.position_B))
        self.visible = max(self.visible, other.visible)


def append_padded(first: Tensor, second: Tensor, axis: int) -> Tensor:
    """Concatenate along axis 0 after padding ``axis`` of the shorter with zeros at its end."""
    size = max(first.shape[axis], second.shape[axis])
    return torch.cat([_padded(tensor, axis, size) for tensor in (first, second)])


def _padded(tensor: Tensor, axis: int, size: int) -> Tensor:
    if (missing := size - tensor.shape[axis]) == 0:
        return tensor
    shape = (*tensor.shape[:axis], missing, *tensor.shape[axis + 1 :])
    return torch.cat((tensor, tensor.new_zeros(shape)), axis)
