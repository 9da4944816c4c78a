"""Linear layers without bias with another choice of matrix product in inference on a CPU, for two reasons.

Reproducibility: oneDNN sums a row in the same order whatever other rows there are, so an item of a batch gets
the bits that it would get alone. MKL uses another order for another number of rows, and one draw in ten
thousand differs. fp32 that is not compiled therefore multiplies through oneDNN.

Speed: a decoder step has two rows per text and is bound by reading weights. dia/native reads large weights at
the memory bandwidth: in bf16 always, and in fp32 in compiled code, which cannot call oneDNN with weights that
are not frozen into it.

Legend: B rows, I input features, O output features.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia import native

FEW = 16  # number of rows up to which reading the weights dominates
LARGE = 1 << 20  # number of weights above which it does
ONEDNN = torch.backends.mkldnn.is_available()
Product = Callable[[Tensor, Tensor], Tensor]


class Linear(nn.Linear):
    """`torch.nn.Linear` without bias and with another choice of matrix product."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self._in_huge_pages = False

    def forward(self, input: Tensor) -> Tensor:
        """Return (..., O) of features (..., I)."""
        product = self._product(input)
        out: Tensor = product(input.flatten(0, -2), self.weight).unflatten(0, input.shape[:-1])
        return out

    def use_huge_pages(self) -> None:
        """Move a large weight on a CPU to huge pages, once, for the products of dia/native."""
        large = self.weight.numel() >= LARGE and self.weight.device.type == "cpu"
        if (
            large
            and not self._in_huge_pages
            and type(self.weight) is nn.Parameter
            and native.native_products()
        ):
            torch.ops.dia_native.use_huge_pages(self.weight)
            self._in_huge_pages = True

    def _product(self, input: Tensor) -> Product:
        # neither quantized by torchao nor a shard
        plain = type(self.weight) is nn.Parameter and self.weight.device.type == "cpu"
        cast = self.weight.dtype != input.dtype or torch.is_autocast_enabled("cpu")
        if not plain or cast or torch.is_grad_enabled():
            return F.linear  # the other products have no gradient
        compiling = torch.compiler.is_compiling()
        few = input.numel() // input.shape[-1] <= FEW and self.weight.numel() >= LARGE
        fp32 = input.dtype == torch.float32
        if few and (compiling if fp32 else input.dtype == torch.bfloat16) and native.usable():
            if not compiling:
                self.use_huge_pages()
            return native_fp32 if fp32 else native_bf16
        return onednn_product if fp32 and ONEDNN and not compiling else F.linear


def onednn_product(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return the product (B, O) by oneDNN; a single row is doubled, as oneDNN sums it in another order."""
    single = len(rows_BI) == 1
    rows = rows_BI.expand(2, -1).contiguous() if single else rows_BI
    product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight_OI, None, "none", [], "")
    return product[:1] if single else product


def native_fp32(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return the product (B, O) by dia/native."""
    product: Tensor = torch.ops.dia_native.linear_fp32(rows_BI, weight_OI)
    return product


def native_bf16(rows_BI: Tensor, weight_OI: Tensor) -> Tensor:
    """Return the product (B, O) by dia/native, whose sums are in fp32, rounded to bf16."""
    product: Tensor = torch.ops.dia_native.linear_bf16(rows_BI.float(), weight_OI)
    return product.bfloat16()
