"""Quantized linear layers over the products of torch, where dia/native cannot be compiled.

int8: fbgemm multiplies integers (torch's oneDNN product plans anew at each call: 125 us against 14). Sums of
integers are exact and a row's scale is its own, so an item gets the same bits in any batch. int4: torch's
product with bfloat16 activations.

Legend: B rows, I input features, O output features, G groups of inputs.
"""

import itertools
import warnings
import weakref
from typing import Any

import torch
from torch import Tensor, nn

from dia.errors import UserError
from dia.inference.integers import GROUP, LARGEST, int8_weights, to_int4, to_int8

ENGINE = "fbgemm"
# Without VNNI, fbgemm adds the products of two neighbouring bytes in 16 bits, which saturate at 32,767.
# There, activations have 7 bits (-63..63), and the zero point moves their bytes to 1..127, so that no sum
# exceeds 127 x 127 x 2 = 32,258. With VNNI sums have 32 bits, and activations the full range (-127..127).
LARGEST_WITHOUT_VNNI = LARGEST // 2
LARGEST_ACTIVATION = LARGEST if torch.cpu._is_vnni_supported() else LARGEST_WITHOUT_VNNI
OUTPUTS_OF_INT4 = 16  # torch's int4 product requires a multiple of this many outputs
HANDLES = itertools.count()
PACKED: dict[int, Any] = {}  # packed weights of the layers that exist, by handle


class FbgemmInt8Linear(nn.Module):
    """A linear layer without bias whose weights (O, I) are 8-bit integers, multiplied as integers on a CPU.

    ``largest_activation`` is the largest absolute value of a quantized activation, at most 127; by default
    what this CPU can sum without saturation.
    """

    def __init__(self, weight_OI: Tensor, largest_activation: int = LARGEST_ACTIVATION) -> None:
        super().__init__()
        self.outputs = len(weight_OI)
        self.largest_activation = largest_activation
        self.handle = next(HANDLES)
        PACKED[self.handle] = pack_int8(weight_OI)
        weakref.finalize(self, PACKED.pop, self.handle, None)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., O) of features (..., I), in their type."""
        codes_BI, scale_B = to_int8(x.flatten(0, -2).float(), self.largest_activation)
        out_BO = integer_product(codes_BI, self.largest_activation + 1, self.handle, self.outputs)
        out: Tensor = out_BO.mul_(scale_B[:, None]).to(x.dtype).unflatten(0, x.shape[:-1])
        return out


def pack_int8(weight_OI: Tensor) -> Any:
    """Return weights (O, I) quantized and in the memory layout of fbgemm's integer product.

    Raises:
        UserError: When this build of torch lacks fbgemm.
    """
    if ENGINE not in torch.backends.quantized.supported_engines:
        raise UserError(
            f"quantization=int8 needs {ENGINE}, which this build of torch lacks (it is for x86); omit it"
        )
    codes_OI, scale_O = int8_weights(weight_OI.detach())
    previous_engine = torch.backends.quantized.engine
    torch.backends.quantized.engine = ENGINE
    try:
        with warnings.catch_warnings():
            # torch deprecates quantized tensors, but the product has no other interface yet
            warnings.simplefilter("ignore")
            zeros_O = torch.zeros(len(scale_O), dtype=torch.long)
            quantized = torch._make_per_channel_quantized_tensor(codes_OI, scale_O.double(), zeros_O, 0)
        return torch.ops.quantized.linear_prepack(quantized, None)
    finally:
        torch.backends.quantized.engine = previous_engine


def integer_product(codes_BI: Tensor, zero_point: int, handle: int, outputs: int) -> Tensor:
    """Return integers (B, I) times packed weights, each output multiplied by its scale: (B, O), fp32.

    ``zero_point`` is added to the integers to make them bytes. It does not change the exact product.
    """
    if torch.compiler.is_compiling():
        # a compiled graph cannot hold fbgemm's packed weights, but it can hold their handle
        compiled: Tensor = opaque_product(codes_BI, zero_point, handle, outputs)
        return compiled
    product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
        codes_BI, 1.0, zero_point, PACKED[handle]
    )
    return product


@torch.library.custom_op("dia::integer_product", mutates_args=())
def opaque_product(codes_BI: Tensor, zero_point: int, handle: int, outputs: int) -> Tensor:
    """Return what :func:`integer_product` returns, as one operator that is opaque to the compiler."""
    return integer_product(codes_BI, zero_point, handle, outputs)


@opaque_product.register_fake
def _(codes_BI: Tensor, zero_point: int, handle: int, outputs: int) -> Tensor:
    return codes_BI.new_empty(len(codes_BI), outputs)


class TorchInt4Linear(nn.Module):
    """A linear layer without bias whose weights (O, I) are 4-bit integers in groups, on a CPU in bfloat16."""

    def __init__(self, weight_OI: Tensor) -> None:
        super().__init__()
        codes_OI, self.scales_GO2 = to_int4(weight_OI.detach().float())
        self.packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes_OI, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., O) of features (..., I), in their type."""
        rows_BI = x.flatten(0, -2).bfloat16()
        out_BO = torch.ops.aten._weight_int4pack_mm_for_cpu(rows_BI, self.packed, GROUP, self.scales_GO2)
        out: Tensor = out_BO.to(x.dtype).unflatten(0, x.shape[:-1])
        return out
