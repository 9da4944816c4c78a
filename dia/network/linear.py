"""Linear layers without bias that multiply through oneDNN on a CPU in fp32 inference, for two reasons.

Reproducibility: oneDNN sums a row in the same order whatever other rows there are, so an item of a batch gets
the bits that it would get alone. MKL uses another order for another number of rows, and one draw in ten
thousand differs.

Speed: a decoder step has two rows per text and is bound by reading weights. MKL reaches the memory bandwidth
on Intel's processors and not on others: on an AMD EPYC (Zen 4) with 32 GB/s it reads weights at 9 GB/s,
oneDNN at 25. Compiled code cannot call oneDNN with weights that are not frozen into it; there torch.compile
fuses plain sums instead (31 GB/s), and items agree up to rounding.

Legend: B rows, I input features, O output features.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SUMMED = 4  # number of rows up to which compiled sums are fastest
LARGE = 1 << 19  # number of weights above which reading them dominates
STREAMS = 4  # rows of weights that a compiled product reads side by side
ONEDNN = torch.backends.mkldnn.is_available()


def _mkl_is_slow() -> bool:
    """Return whether torch would use MKL on a processor that is not Intel's although oneDNN is available."""
    information = Path("/proc/cpuinfo")
    if not (torch.backends.mkl.is_available() and ONEDNN and information.is_file()):
        return False
    return "GenuineIntel" not in information.read_text(encoding="utf-8")


MKL_IS_SLOW = _mkl_is_slow()  # evaluated once: compiled code can read a value, but no file


class Linear(nn.Linear):
    """`torch.nn.Linear` without bias and with another choice of matrix product."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Return (..., O) of features (..., I)."""
        product = self._product(input)
        out: Tensor = product(input.flatten(0, -2), self.weight).unflatten(0, input.shape[:-1])
        return out

    def _product(self, input: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        # neither quantized by torchao nor a shard
        plain = type(self.weight) is nn.Parameter and self.weight.device.type == "cpu"
        fp32 = self.weight.dtype == input.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        if not (plain and fp32) or torch.is_grad_enabled():
            return F.linear  # the other products have no gradient
        if not torch.compiler.is_compiling():
            return onednn_product if ONEDNN else F.linear
        summed = MKL_IS_SLOW and self.weight.numel() >= LARGE and len(self.weight) % STREAMS == 0
        return summed_product if summed and input.numel() // input.shape[-1] <= SUMMED else F.linear


def onednn_product(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return the product (B, O) by oneDNN; a single row is doubled, as oneDNN sums it in another order."""
    single = len(rows_BI) == 1
    rows = rows_BI.expand(2, -1).contiguous() if single else rows_BI
    product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight_OI, None, "none", [], "")
    return product[:1] if single else product


def summed_product(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return the product (B, O) as sums that the compiler fuses into one pass over the weights.

    The number of outputs must be a multiple of ``STREAMS``.
    """
    parts = weight_OI.chunk(STREAMS)
    return torch.stack(
        [torch.cat([(part_OI * row_I).sum(-1) for part_OI in parts]) for row_I in rows_BI.unbind()]
    )
