"""Linear layers without bias: the product that is fastest on the processor at hand.

torch computes fp32 products on x86 by MKL. For the two rows that a decoder step has for a text, MKL keeps up with the memory on
Intel's processors and not on others: on an AMD EPYC (Zen 4) that reads 32 GB/s it reads weights at 9 GB/s, oneDNN at 25, and
sums that torch.compile makes of the product at 31. For the thousands of rows of training oneDNN is a tenth faster there, at the
head's width a third. Which product is taken depends on the processor and the shape only, so a seed gives the same voice again.

Legend: B rows, I input features, O output features.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

FEW = 32  # rows for which MKL is slow: a batch of sixteen texts
SUMMED = 4  # rows for which the compiler's sums are fastest
LARGE = 1 << 19  # weights from which on reading them is what a product costs
STREAMS = 4  # rows of weights that a compiled product reads side by side


def _mkl_is_slow() -> bool:
    """Return whether MKL multiplies here on a processor that is not Intel's, and oneDNN could."""
    information = Path("/proc/cpuinfo")
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available() and information.is_file()):
        return False
    return "GenuineIntel" not in information.read_text(encoding="utf-8")


MKL_IS_SLOW = _mkl_is_slow()  # read once: compiled code can ask for a value, not for a file


class Linear(nn.Linear):
    """`torch.nn.Linear` without bias; only how few rows are multiplied on a CPU differs."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Return (..., O) of features (..., I)."""
        product = self._product(input)
        if product is F.linear:
            return F.linear(input, self.weight)
        return product(input.flatten(0, -2), self.weight).unflatten(0, input.shape[:-1])

    def _product(self, input: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """The fastest product. (Compiled code cannot call oneDNN's with weights that are not frozen into it.)"""
        rows, large = input.numel() // input.shape[-1], self.weight.numel() >= LARGE
        if not MKL_IS_SLOW or not _is_fp32_on_cpu(input, self.weight):
            return F.linear
        if torch.compiler.is_compiling():
            sums = large and rows <= SUMMED and len(self.weight) % STREAMS == 0 and not torch.is_grad_enabled()
            return summed_product if sums else F.linear
        if torch.is_grad_enabled():
            return trained_product
        return onednn_product if large and rows <= FEW else F.linear


def _is_fp32_on_cpu(input: Tensor, weight: Tensor) -> bool:
    autocast = torch.is_autocast_enabled("cpu")
    return weight.device.type == "cpu" and weight.dtype == input.dtype == torch.float32 and not autocast


def onednn_product(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return (B, O) by oneDNN."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(rows_BI, weight_OI, None, "none", [], "")
    return product


def summed_product(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return (B, O) as sums for the compiler, which reads each weight once for all rows; the outputs must be whole streams."""
    parts = weight_OI.chunk(STREAMS)
    return torch.stack([torch.cat([(part_OI * row_I).sum(-1) for part_OI in parts]) for row_I in rows_BI.unbind()])


def product_of_many(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return (B, O) without a gradient, for hundreds of rows."""
    fast = MKL_IS_SLOW and _is_fp32_on_cpu(rows_BI, weight_OI)
    return onednn_product(rows_BI, weight_OI) if fast else rows_BI @ weight_OI.T


def trained_product(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return (B, O) by oneDNN, with a gradient."""
    product: Tensor = _TrainedProduct.apply(rows_BI, weight_OI)
    return product


class _TrainedProduct(torch.autograd.Function):
    """oneDNN's product with its gradient; that of the weight is left to MKL, which is faster for products of two transposes."""

    @staticmethod
    def forward(ctx: Any, rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
        ctx.save_for_backward(rows_BI, weight_OI)
        return onednn_product(rows_BI, weight_OI)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BO: Tensor) -> tuple[Tensor | None, Tensor | None]:
        rows_BI, weight_OI = ctx.saved_tensors
        to_rows_BI = onednn_product(gradient_BO, weight_OI.T) if ctx.needs_input_grad[0] else None
        to_weight_OI = gradient_BO.T @ rows_BI if ctx.needs_input_grad[1] else None
        return to_rows_BI, to_weight_OI
