"""Linear layers without bias that read their weights at the memory's speed in a decoder step, which has two rows a text.

torch computes fp32 products on x86 by MKL. For two rows MKL keeps up with the memory on Intel's processors and not on others: on
an AMD EPYC (Zen 4) that reads 32 GB/s it reads weights at 9 GB/s, oneDNN at 25, and sums that torch.compile makes of the
product at 31. Which product is taken depends on the processor and the shape only, so a seed gives the same voice again.

Legend: B rows, I input features, O output features.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
        if not self._reads_from_memory(input):
            return F.linear(input, self.weight)
        product = self._product(input.numel() // input.shape[-1])
        return product(input.flatten(0, -2), self.weight).unflatten(0, input.shape[:-1])

    def _product(self, rows: int) -> Callable[[Tensor, Tensor], Tensor]:
        """The fastest product. (Compiled code cannot call oneDNN's with weights that are not frozen into it.)"""
        if torch.compiler.is_compiling():
            return summed_product if rows <= SUMMED and len(self.weight) % STREAMS == 0 else F.linear
        return onednn_product if rows <= FEW else F.linear

    def _reads_from_memory(self, input: Tensor) -> bool:
        return (
            self.weight.device.type == "cpu"
            and self.weight.dtype == input.dtype == torch.float32
            and self.weight.numel() >= LARGE
            and not torch.is_grad_enabled()  # these products have no gradient
            and MKL_IS_SLOW
        )


def onednn_product(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return (B, O) by oneDNN."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(rows_BI, weight_OI, None, "none", [], "")
    return product


def summed_product(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return (B, O) as sums for the compiler, which reads each weight once for all rows; the outputs must be whole streams."""
    parts = weight_OI.chunk(STREAMS)
    return torch.stack([torch.cat([(part_OI * row_I).sum(-1) for part_OI in parts]) for row_I in rows_BI.unbind()])
