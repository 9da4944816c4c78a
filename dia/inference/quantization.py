"""Weights in 8 or 4 bits. A decoder step of Dia reads every weight once for two rows, so its time is the
weights' bytes.

CPU, int8: one scale per output channel, and the activations of each row in 8 bits as well, by their own
scale, through fbgemm's product of integers (torch's oneDNN one makes its plan anew at each call: 125 us
against 14). Sums of integers are exact and a row's scale is its own, so an item gets the same bits in any
batch. CPU, int4: groups of 32 weights with a scale and an offset, through torch's product with bfloat16
activations. GPU, int8: torchao's weight-only linear. Embeddings and norms stay as they are.

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
# Activations are therefore limited to 7 bits, and the zero point keeps their bytes in 1..127: 127 x 127 x 2 =
# 32,258.
LARGEST_ACTIVATION = LARGEST if torch.cpu._is_vnni_supported() else LARGEST // 2
ZERO_POINT = LARGEST_ACTIVATION + 1
OUTPUTS_OF_INT4 = 16  # which torch asks to be whole
GROUP = 32  # weights that share a scale in int4
SMALLEST_SCALE = 1e-12  # of a row of zeros
ROWS_AT_ONCE = 1024
HANDLES = itertools.count()
PACKED: dict[int, Any] = {}  # the weights of the layers that are alive, by handle


class Int8Linear(nn.Module):
    """A linear layer without bias whose weights (O, I) are 8-bit integers, computed in integers on a CPU."""

    def __init__(self, weight_OI: Tensor) -> None:
        super().__init__()
        self.outputs, self.handle = len(weight_OI), next(HANDLES)
        PACKED[self.handle] = pack_int8(weight_OI)
        weakref.finalize(self, PACKED.pop, self.handle, None)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., O) of features (..., I), in their type."""
        codes_BI, scale_B = to_int8(x.flatten(0, -2).float(), LARGEST_ACTIVATION)
        out_BO = integer_product(codes_BI, self.handle, self.outputs)
        return out_BO.mul_(scale_B[:, None]).to(x.dtype).unflatten(0, x.shape[:-1])


def pack_int8(weight_OI: Tensor) -> Any:
    """Return the weights as fbgemm lays them out for its product of integers."""
    if ENGINE not in torch.backends.quantized.supported_engines:
        raise UserError(
            f"quantize=int8 needs {ENGINE}, which this build of torch lacks (it is for x86); run without it"
        )
    codes_OI, scale_O = _in_blocks(weight_OI.detach())
    usual = torch.backends.quantized.engine
    torch.backends.quantized.engine = ENGINE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # torch means to drop quantized tensors; the product has no other door yet
            zeros_O = torch.zeros(len(scale_O), dtype=torch.long)
            quantized = torch._make_per_channel_quantized_tensor(codes_OI, scale_O.double(), zeros_O, 0)
        return torch.ops.quantized.linear_prepack(quantized, None)
    finally:
        torch.backends.quantized.engine = usual


def _in_blocks(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """Integers (O, I) and scales (O,), some rows at a time, so that no large copy is made on the way."""
    codes_OI, scale_O = torch.empty(weight_OI.shape, dtype=torch.int8), torch.empty(len(weight_OI))
    for begin in range(0, len(weight_OI), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        codes, scale_O[rows] = to_int8(weight_OI[rows].float())
        codes_OI[rows] = codes.to(torch.int8)
    return codes_OI, scale_O


def integer_product(codes_BI: Tensor, handle: int, outputs: int) -> Tensor:
    """Return (B, O), fp32: whole numbers (B, I) times the packed weights, each output by its scale."""
    if (
        torch.compiler.is_compiling()
    ):  # a compiled graph cannot hold what fbgemm packs, but it can hold its number
        return opaque_product(codes_BI, handle, outputs)
    product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
        codes_BI, 1.0, ZERO_POINT, PACKED[handle]
    )
    return product


@torch.library.custom_op("dia::integer_product", mutates_args=())
def opaque_product(codes_BI: Tensor, handle: int, outputs: int) -> Tensor:
    """The same as one operator that the compiler does not look into."""
    return integer_product(codes_BI, handle, outputs)


@opaque_product.register_fake
def _(codes_BI: Tensor, handle: int, outputs: int) -> Tensor:
    return codes_BI.new_empty(len(codes_BI), outputs)


class Int4Linear(nn.Module):
    """A linear layer without bias whose weights (O, I) are 4-bit integers in groups, computed in bfloat16 on
    a CPU.
    """

    def __init__(self, weight_OI: Tensor) -> None:
        super().__init__()
        codes_OI, self.scales_GO2 = to_int4(weight_OI.detach().float())
        self.packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes_OI, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., O) of features (..., I), in their type."""
        rows_BI = x.flatten(0, -2).bfloat16()
        out_BO = torch.ops.aten._weight_int4pack_mm_for_cpu(rows_BI, self.packed, GROUP, self.scales_GO2)
        return out_BO.to(x.dtype).unflatten(0, x.shape[:-1])


def to_int8(rows_BI: Tensor, largest: int = LARGEST) -> tuple[Tensor, Tensor]:
    """Return whole numbers (B, I) in -largest..largest and the scale (B,) of each row, by which they are
    multiplied to come back."""
    scale_B1 = rows_BI.abs().amax(-1, keepdim=True).clamp_min_(SMALLEST_SCALE * largest) / largest
    return (rows_BI / scale_B1).round_(), scale_B1.squeeze(-1)


def to_int4(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """Return integers (O, I) in 0..15, int32, and scale and middle (G, O, 2), bfloat16: weight = (integer -
    8) * scale + middle.

    The input features must be whole groups.
    """
    groups_OGI = weight_OI.unflatten(1, (-1, GROUP))
    low_OG, high_OG = groups_OGI.amin(-1), groups_OGI.amax(-1)
    scale_OG = ((high_OG - low_OG).clamp_min(SMALLEST_SCALE) / 15).bfloat16().float()
    middle_OG = (low_OG + 8 * scale_OG).bfloat16().float()
    codes_OGI = ((groups_OGI - middle_OG[..., None]) / scale_OG[..., None]).round().add(8).clamp(0, 15)
    scales_GO2 = torch.stack((scale_OG, middle_OG), -1).transpose(0, 1).contiguous().bfloat16()
    return codes_OGI.flatten(1).to(torch.int32), scales_GO2


def quantize(network: nn.Module, kind: str) -> None:
    """Replace every linear layer in place, one at a time, so that memory never holds both whole.

    Raises :class:`UserError` for an unknown kind, and for a device or shape that has no such kind.
    """
    if kind not in LAYERS:
        raise UserError(f"quantize={kind!r} is unknown; choose one of {', '.join(LAYERS)}")
    device = next(network.parameters()).device
    if device.type == "cpu":
        replace_linears(network, LAYERS[kind])
    elif kind == "int8":
        quantize_with_torchao(network)
    else:
        raise UserError(f"quantize=int4 is for CPUs so far, the model is on {device}; choose int8")


def quantize_with_torchao(network: nn.Module) -> None:
    """Replace the weights of linear layers by torchao's int8 ones, in place. Raises :class:`UserError`
    without torchao.
    """
    try:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_
    except ImportError as error:
        raise UserError(
            "quantize=int8 on a GPU needs torchao; install it: pip install 'dia-framework[quantization]'"
        ) from error
    quantize_(network, Int8WeightOnlyConfig())


def replace_linears(module: nn.Module, make: Callable[[Tensor], nn.Module]) -> None:
    """Replace the linear layers below a module by what ``make`` makes of their weights (O, I). The three
    projections of a self-attention become one."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, make(child.weight.detach()))
            continue
        if name == "self_attention" and isinstance(child, Attention):
            child.fuse(make)
        replace_linears(child, make)


def int4_where_it_fits(weight_OI: Tensor) -> nn.Module:
    """Return a layer of 4 bits, or of 8 where torch's product has no such shape (Dia's head)."""
    return (
        Int8Linear(weight_OI)
        if len(weight_OI) % OUTPUTS_OF_INT4 or weight_OI.shape[1] % GROUP
        else Int4Linear(weight_OI)
    )


LAYERS: dict[str, Callable[[Tensor], nn.Module]] = {"int8": Int8Linear, "int4": int4_where_it_fits}
