"""Linear layers without bias. Without gradients, fp32 products on a CPU go through oneDNN, for two reasons.

A row is summed up in the same order whatever other rows there are, so an item of a batch gets the bits that
it would get alone; MKL takes another order for another number of rows, and one draw in ten thousand falls
otherwise.

And a decoder step, which has two rows a text, reads its weights at the memory's speed. MKL keeps up with it
on Intel's processors and not on others: on an AMD EPYC (Zen 4) that reads 32 GB/s it reads weights at 9 GB/s,
oneDNN at 25. Compiled code cannot call oneDNN with weights that are not frozen into it: there sums that
torch.compile makes of the product take its place (31 GB/s), and items agree up to rounding.

Legend: B rows, I input features, O output features.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SUMMED = 4  # rows for which the compiler's sums are fastest
LARGE = 1 << 19  # weights from which on reading them is what a product costs
STREAMS = 4  # rows of weights that a compiled product reads side by side
ONEDNN = torch.backends.mkldnn.is_available()


def _mkl_is_slow() -> bool:
    """Return whether MKL multiplies here on a processor that is not Intel's, and oneDNN could."""
    information = Path("/proc/cpuinfo")
    if not (torch.backends.mkl.is_available() and ONEDNN and information.is_file()):
        return False
    return "GenuineIntel" not in information.read_text(encoding="utf-8")


MKL_IS_SLOW = _mkl_is_slow()  # read once: compiled code can ask for a value, not for a file


class Linear(nn.Linear):
    """`torch.nn.Linear` without bias; only who multiplies differs."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Return (..., O) of features (..., I)."""
        product = self._product(input)
        return product(input.flatten(0, -2), self.weight).unflatten(0, input.shape[:-1])

    def _product(self, input: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        plain = (
            type(self.weight) is nn.Parameter and self.weight.device.type == "cpu"
        )  # neither quantized by torchao nor a shard
        fp32 = self.weight.dtype == input.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        if not (plain and fp32) or torch.is_grad_enabled():
            return F.linear  # the others have no gradient
        if not torch.compiler.is_compiling():
            return onednn_product if ONEDNN else F.linear
        summed = MKL_IS_SLOW and self.weight.numel() >= LARGE and len(self.weight) % STREAMS == 0
        return summed_product if summed and input.numel() // input.shape[-1] <= SUMMED else F.linear


def onednn_product(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return (B, O) by oneDNN. A single row is multiplied twice: products of one have an order of their
    own.
    """
    single = len(rows_BI) == 1
    rows = rows_BI.expand(2, -1).contiguous() if single else rows_BI
    product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight_OI, None, "none", [], "")
    return product[:1] if single else product


def summed_product(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return (B, O) as sums for the compiler, which reads each weight once for all rows; the outputs must be
    whole streams.
    """
    parts = weight_OI.chunk(STREAMS)
    return torch.stack(
        [torch.cat([(part_OI * row_I).sum(-1) for part_OI in parts]) for row_I in rows_BI.unbind()]
    )
