"""Packed batches: clips one after another in one row, without padding.

Layers that work on single steps do not see where a clip ends. Attention does: each clip attends to its own
steps and its own text only, and its positions begin at zero.

Legend: N heads, K key-value heads, T query step and S key step of all clips in a row, H head width.
"""

from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

HALF = (torch.bfloat16, torch.float16)


@dataclass
class Packing:
    """The text bytes and the decoder steps of each clip of a packed batch, in order."""

    text: list[int]
    steps: list[int]

    def to_text(self, device: torch.device) -> "Segments":
        """Return the segments of attention from text to text."""
        return Segments.of(self.text, self.text, device)

    def to_steps(self, device: torch.device) -> "Segments":
        """Return the segments of attention from steps to steps."""
        return Segments.of(self.steps, self.steps, device)

    def steps_to_text(self, device: torch.device) -> "Segments":
        """Return the segments of attention from steps to text."""
        return Segments.of(self.steps, self.text, device)


def positions(lengths: list[int], device: torch.device) -> Tensor:
    """Return the positions (T,) of clips in a row: each clip counts from zero."""
    return torch.cat([torch.arange(length) for length in lengths]).to(device)


@dataclass(frozen=True)
class Segments:
    """Which queries attend to which keys: the segments of both, in order, match one to one.

    ``query_ends`` and ``key_ends`` are cumulative lengths with a leading zero, int32, on the device.
    """

    queries: list[int]
    keys: list[int]
    query_ends: Tensor
    key_ends: Tensor

    @classmethod
    def of(cls, queries: list[int], keys: list[int], device: torch.device) -> "Segments":
        """Return the segments of these lengths."""
        ends = (torch.tensor([0, *accumulate(lengths)], dtype=torch.int32) for lengths in (queries, keys))
        return cls(queries, keys, *(end.to(device) for end in ends))

    def attend(self, queries_1NTH: Tensor, keys_1KSH: Tensor, values_1KSH: Tensor, causal: bool) -> Tensor:
        """Return attention (1, N, T, H) with a scale of 1.0; ``causal`` also hides later keys of a segment.

        A GPU in half precision runs one kernel for all segments (FlashAttention), else each runs alone.
        """
        if queries_1NTH.is_cuda and queries_1NTH.dtype in HALF:
            return self._attend_together(queries_1NTH, keys_1KSH, values_1KSH, causal)
        mixed_1NTH: Tensor = self._attend_each(queries_1NTH, keys_1KSH, values_1KSH, causal)
        return mixed_1NTH

    # the lengths differ from batch to batch: code for each would be compiled
    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch does not annotate it
    def _attend_each(
        self, queries_1NTH: Tensor, keys_1KSH: Tensor, values_1KSH: Tensor, causal: bool
    ) -> Tensor:
        pieces = zip(
            queries_1NTH.split(self.queries, 2),
            keys_1KSH.split(self.keys, 2),
            values_1KSH.split(self.keys, 2),
            strict=True,
        )
        grouped = queries_1NTH.shape[1] != keys_1KSH.shape[1]
        mixed = [
            F.scaled_dot_product_attention(*piece, is_causal=causal, scale=1.0, enable_gqa=grouped)
            for piece in pieces
        ]
        return torch.cat(mixed, 2)

    def _attend_together(
        self, queries_1NTH: Tensor, keys_1KSH: Tensor, values_1KSH: Tensor, causal: bool
    ) -> Tensor:
        from torch.nn.attention.varlen import varlen_attn

        mixed_TNH = varlen_attn(
            queries_1NTH[0].transpose(0, 1),
            keys_1KSH[0].transpose(0, 1),
            values_1KSH[0].transpose(0, 1),
            self.query_ends,
            self.key_ends,
            _upper_bound(self.queries),
            _upper_bound(self.keys),
            scale=1.0,
            window_size=(-1, 0) if causal else (-1, -1),
            enable_gqa=queries_1NTH.shape[1] != keys_1KSH.shape[1],
        )
        assert isinstance(mixed_TNH, Tensor)
        return mixed_TNH.transpose(0, 1)[None]


def _upper_bound(lengths: list[int]) -> int:
    """Return the next power of two of the longest: few values, for each of which code is compiled."""
    return 1 << (max(lengths) - 1).bit_length()
