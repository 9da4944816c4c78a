"""Quantized linear layers over the products of dia/native, which round activations and multiply in one pass.

Activations of each row are rounded to 8 bits with their own scale. Sums of integers are exact, so an item
gets the same bits in any batch.

Legend: B rows, I input features, O output features, J bytes of two weights, G groups of inputs.
"""

import torch
from torch import Tensor, nn

from dia.inference.integers import GROUP, int8_weights, to_int4


class NativeInt8Linear(nn.Module):
    """A linear layer without bias whose weights (O, I) are 8-bit integers with a scale for each output."""

    codes_OI: Tensor
    scale_O: Tensor
    sum_O: Tensor

    def __init__(self, weight_OI: Tensor) -> None:
        super().__init__()
        codes_OI, scale_O = int8_weights(weight_OI.detach())
        self.register_buffer("codes_OI", codes_OI)
        self.register_buffer("scale_O", scale_O)
        self.register_buffer("sum_O", codes_OI.sum(1, dtype=torch.int32))
        torch.ops.dia_native.use_huge_pages(self.codes_OI)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., O) of features (..., I), in their type."""
        rows_BI = x.flatten(0, -2).float()
        out_BO = torch.ops.dia_native.linear_int8(rows_BI, self.codes_OI, self.scale_O, self.sum_O)
        out: Tensor = out_BO.to(x.dtype).unflatten(0, x.shape[:-1])
        return out


class NativeInt4Linear(nn.Module):
    """A linear layer without bias whose weights (O, I) are 4-bit integers in groups with scale and middle.

    ``I`` is a multiple of 32. A group has 16 bytes, whose low halves are its first 16 weights.
    """

    packed_OJ: Tensor
    pairs_OG2: Tensor

    def __init__(self, weight_OI: Tensor) -> None:
        super().__init__()
        codes_OI, scales_GO2 = to_int4(weight_OI.detach().float())
        first, second = codes_OI.to(torch.uint8).unflatten(1, (-1, 2, GROUP // 2)).unbind(2)
        self.register_buffer("packed_OJ", (first | second << 4).flatten(1).contiguous())
        self.register_buffer("pairs_OG2", scales_GO2.transpose(0, 1).contiguous())
        torch.ops.dia_native.use_huge_pages(self.packed_OJ)
        torch.ops.dia_native.use_huge_pages(self.pairs_OG2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., O) of features (..., I), in their type."""
        rows_BI = x.flatten(0, -2).float()
        out_BO = torch.ops.dia_native.linear_int4(rows_BI, self.packed_OJ, self.pairs_OG2)
        out: Tensor = out_BO.to(x.dtype).unflatten(0, x.shape[:-1])
        return out
