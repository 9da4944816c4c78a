"""Weights in 8 or 4 bits: a decoder step reads every weight once, so its time is proportional to their bytes.

CPU, int8: one scale per output channel; the activations of each row are quantized to 8 bits with their own
scale, and fbgemm multiplies integers (torch's oneDNN product plans anew at each call: 125 us against 14).
Sums of integers are exact and a row's scale is its own, so an item gets the same bits in any batch.
CPU, int4: groups of 32 weights with a scale and an offset, through torch's product with bfloat16 activations.
GPU, int8: torchao's weight-only linear layer. Embeddings and norms keep their type.

Legend: B rows, I input features, O output features, G groups of inputs.
"""

import itertools
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dia.errors import UserError
from dia.network.layers import Attention

ENGINE = "fbgemm"
LARGEST = 127
# Without VNNI, fbgemm adds the products of two neighbouring bytes in 16 bits, which saturate at 32,767.
# There, activations have 7 bits (-63..63), and the zero point moves their bytes to 1..127, so that no sum
# exceeds 127 x 127 x 2 = 32,258. With VNNI sums have 32 bits, and activations the full range (-127..127).
LARGEST_WITHOUT_VNNI = LARGEST // 2
LARGEST_ACTIVATION = LARGEST if torch.cpu._is_vnni_supported() else LARGEST_WITHOUT_VNNI
OUTPUTS_OF_INT4 = 16  # torch's int4 product requires a multiple of this many outputs
GROUP = 32  # weights that share a scale in int4
SMALLEST_SCALE = 1e-12  # the scale of a row of zeros
ROWS_PER_BLOCK = 1024
HANDLES = itertools.count()
PACKED: dict[int, Any] = {}  # packed weights of the layers that exist, by handle


class Int8Linear(nn.Module):
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
    codes_OI, scale_O = _quantized_by_blocks(weight_OI.detach())
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


def _quantized_by_blocks(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """Return integers (O, I) and scales (O,), a block of rows at a time to avoid a large fp32 copy."""
    codes_OI = torch.empty(weight_OI.shape, dtype=torch.int8)
    scale_O = torch.empty(len(weight_OI))
    for begin in range(0, len(weight_OI), ROWS_PER_BLOCK):
        rows = slice(begin, begin + ROWS_PER_BLOCK)
        codes, scale_O[rows] = to_int8(weight_OI[rows].float())
        codes_OI[rows] = codes.to(torch.int8)
    return codes_OI, scale_O


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


class Int4Linear(nn.Module):
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


def to_int8(rows_BI: Tensor, largest: int = LARGEST) -> tuple[Tensor, Tensor]:
    """Return integers (B, I) in -largest..largest, in fp32, and the scale (B,) of each row.

    Rows are integers times scale, up to rounding.
    """
    scale_B1 = rows_BI.abs().amax(-1, keepdim=True).clamp_min_(SMALLEST_SCALE * largest) / largest
    return (rows_BI / scale_B1).round_(), scale_B1.squeeze(-1)


def to_int4(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """Return integers (O, I) in 0..15, int32, and scale and middle (G, O, 2), bfloat16, of weights (O, I).

    A weight is (integer - 8) * scale + middle. The number of inputs must be a multiple of ``GROUP``.
    """
    groups_OGI = weight_OI.unflatten(1, (-1, GROUP))
    low_OG, high_OG = groups_OGI.amin(-1), groups_OGI.amax(-1)
    scale_OG = ((high_OG - low_OG).clamp_min(SMALLEST_SCALE) / 15).bfloat16().float()
    middle_OG = (low_OG + 8 * scale_OG).bfloat16().float()
    codes_OGI = ((groups_OGI - middle_OG[..., None]) / scale_OG[..., None]).round().add(8).clamp(0, 15)
    scales_GO2 = torch.stack((scale_OG, middle_OG), -1).transpose(0, 1).contiguous().bfloat16()
    return codes_OGI.flatten(1).to(torch.int32), scales_GO2


def quantize(network: nn.Module, kind: str) -> None:
    """Quantize every linear layer in place, one at a time, so that memory never holds both copies.

    Args:
        network: The network; it must lie on its final device.
        kind: ``int8`` or ``int4``.

    Raises:
        UserError: For an unknown kind, and when the device does not support it.
    """
    if kind not in LAYERS:
        raise UserError(f"quantization={kind!r} is unknown; choose one of {', '.join(LAYERS)}")
    device = next(network.parameters()).device
    if device.type == "cpu":
        replace_linears(network, LAYERS[kind])
    elif kind == "int8":
        quantize_with_torchao(network)
    else:
        raise UserError(f"quantization=int4 runs on CPUs only, the model is on {device}; choose int8")


def quantize_with_torchao(network: nn.Module) -> None:
    """Replace the weights of linear layers by torchao's int8 tensors, in place.

    Raises:
        UserError: When torchao is not installed.
    """
    try:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_
    except ImportError as error:
        raise UserError(
            "quantization=int8 on a GPU needs torchao; install it: pip install 'dia-framework[quantization]'"
        ) from error
    quantize_(network, Int8WeightOnlyConfig())


def replace_linears(module: nn.Module, make_layer: Callable[[Tensor], nn.Module]) -> None:
    """Replace the linear layers of a module by what ``make_layer`` returns for their weights (O, I).

    The three input projections of a self-attention become one layer.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, make_layer(child.weight.detach()))
            continue
        if name == "self_attention" and isinstance(child, Attention):
            child.fuse(make_layer)
        replace_linears(child, make_layer)


def int4_where_possible(weight_OI: Tensor) -> nn.Module:
    """Return a 4-bit layer, or an 8-bit one where torch's int4 product lacks the shape (Dia's head)."""
    if len(weight_OI) % OUTPUTS_OF_INT4 or weight_OI.shape[1] % GROUP:
        return Int8Linear(weight_OI)
    return Int4Linear(weight_OI)


LAYERS: dict[str, Callable[[Tensor], nn.Module]] = {"int8": Int8Linear, "int4": int4_where_possible}
