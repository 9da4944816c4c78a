"""Weights in 8 or 4 bits: a decoder step reads every weight once, so its time is proportional to their bytes.

CPU: one scale per output in int8, groups of 32 weights with a scale and an offset in int4; the products are
those of dia/native, or torch's where it cannot be compiled. GPU, int8 and fp8 (e4m3): torchao's weight-only
linear layers, which multiply in bf16.
Embeddings and norms keep their type.

Legend: O output features, I input features.
"""

import ctypes
import sys
from collections.abc import Callable

from torch import Tensor, nn

from dia.errors import UserError
from dia.inference.integers import GROUP
from dia.inference.native_products import NativeInt4Linear, NativeInt8Linear
from dia.inference.torch_products import OUTPUTS_OF_INT4, FbgemmInt8Linear, TorchInt4Linear
from dia.native import native_products
from dia.network.layers import Attention


def quantize(network: nn.Module, kind: str) -> None:
    """Quantize every linear layer in place, one at a time, so that memory never holds both copies.

    Args:
        network: The network; it must lie on its final device.
        kind: ``int8``; ``int4`` on a CPU, ``fp8`` on a GPU.

    Raises:
        UserError: For an unknown kind, and when the device does not support it.
    """
    if kind not in KINDS:
        raise UserError(f"quantization={kind!r} is unknown; choose one of {', '.join(KINDS)}")
    device = next(network.parameters()).device
    if device.type == "cpu" and kind in LAYERS:
        replace_linears(network, LAYERS[kind])
    elif device.type != "cpu" and kind in TORCHAO_CONFIGS:
        quantize_with_torchao(network, kind)
    else:
        devices = "CPUs" if kind in LAYERS else "GPUs"
        raise UserError(f"quantization={kind} runs on {devices} only, the model is on {device}; choose int8")


def quantize_with_torchao(network: nn.Module, kind: str) -> None:
    """Replace the weights of linear layers by torchao's int8 or fp8 tensors, in place.

    Raises:
        UserError: When torchao is not installed.
    """
    try:
        from torchao import quantization
    except ImportError as error:
        raise UserError(
            f"quantization={kind} on a GPU needs torchao; install it: pip install "
            "'dia-framework[quantization]'"
        ) from error
    quantization.quantize_(network, getattr(quantization, TORCHAO_CONFIGS[kind])())


def replace_linears(module: nn.Module, make_layer: Callable[[Tensor], nn.Module]) -> None:
    """Replace the linear layers of a module by what ``make_layer`` returns for their weights (O, I).

    The three input projections of a self-attention become one layer.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, make_layer(child.weight.detach()))
            return_freed_memory()
            continue
        if isinstance(child, Attention):
            child.quantized = True
            if name == "self_attention":
                child.fuse(make_layer)
                return_freed_memory()
        replace_linears(child, make_layer)


def return_freed_memory() -> None:
    """Return memory that was freed to the system, where the C library is glibc.

    glibc retains what lies between living tensors: temporary copies of the layers of Dia-1.6B added 1.3 GB.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def int8_linear(weight_OI: Tensor) -> nn.Module:
    """Return an 8-bit layer with these weights."""
    return NativeInt8Linear(weight_OI) if native_products() else FbgemmInt8Linear(weight_OI)


def int4_linear(weight_OI: Tensor) -> nn.Module:
    """Return a 4-bit layer with these weights, or an 8-bit one where no 4-bit product has their shape."""
    outputs, inputs = weight_OI.shape
    if inputs % GROUP:
        return int8_linear(weight_OI)
    if native_products():
        return NativeInt4Linear(weight_OI)
    return int8_linear(weight_OI) if outputs % OUTPUTS_OF_INT4 else TorchInt4Linear(weight_OI)


LAYERS: dict[str, Callable[[Tensor], nn.Module]] = {"int8": int8_linear, "int4": int4_linear}
TORCHAO_CONFIGS = {"int8": "Int8WeightOnlyConfig", "fp8": "Float8WeightOnlyConfig"}  # by kind, for GPUs
KINDS = tuple(dict.fromkeys((*LAYERS, *TORCHAO_CONFIGS)))
