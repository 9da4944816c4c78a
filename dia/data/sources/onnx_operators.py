"""The ONNX operators of Kokoro's graph as functions of torch tensors.

Names and arguments are those of the ONNX specification (opset 20) and of onnxruntime's `com.microsoft`
domain. Integer products are computed in floating point: `DynamicQuantizeLinear` does not round, so that the
product that follows is one of real activations and dequantized weights.
Absent inputs are ``None``. A shape is an int64 tensor on the CPU.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Attributes = dict[str, Any]
Operator = Callable[..., Any]

# The scale that stands for every quantization of activations: a power of two, so that it changes no digit,
# and small, because the graph rounds the biases of convolutions to multiples of it.
FINEST = 2.0**-16
# The errors of onnxruntime's STFT of 20 samples, as (real, imaginary) of each bin, in 1e-8 of the constant
# component. Between voiced sounds Kokoro's excitation is constant: the phases that its generator reads are
# those of these errors, and with other phases it speaks audibly worse (DistillMOS 3.4 instead of 4.2).
STFT_ERRORS = (
    (-5.9, -45.3),
    (-0.7, 51.7),
    (6.9, -5.5),
    (8.5, 13.0),
    (-14.9, -15.1),
    (14.9, 21.4),
    (-27.1, -5.4),
    (23.4, -6.4),
    (-4.1, 1.9),
    (25.5, -13.3),
    (-1.4, 44.7),
)
DTYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool}


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None, **attributes: Any) -> Tensor:
    """``Conv`` and ``ConvInteger`` in one dimension, computed in the dtype of ``weight``."""
    padding = _padding(attributes)
    y = F.conv1d(x.to(weight.dtype), weight, bias, attributes["strides"], *padding, attributes["group"])
    return y.to(x.dtype)


def _padding(attributes: Attributes) -> tuple[int, int]:
    (before, after), (dilation,) = attributes["pads"], attributes["dilations"]
    if before != after:
        raise NotImplementedError(f"pads {before} and {after} differ")
    return before, dilation


def convolve_transposed(x: Tensor, weight: Tensor, bias: Tensor | None = None, **attributes: Any) -> Tensor:
    """``ConvTranspose`` in one dimension."""
    padding, dilation = _padding(attributes)
    output_padding = attributes.get("output_padding", [0])
    return F.conv_transpose1d(
        x, weight, bias, attributes["strides"], padding, output_padding, attributes["group"], dilation
    )


def reshape(x: Tensor, shape: Tensor, **_: Any) -> Tensor:
    """``Reshape``: 0 preserves a dimension."""
    sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape.tolist())]
    return x.reshape(sizes)


def squeeze(x: Tensor, axes: Tensor) -> Tensor:
    """``Squeeze``."""
    return x.squeeze(tuple(axes.tolist()))


def unsqueeze(x: Tensor, axes: Tensor) -> Tensor:
    """``Unsqueeze``: axes count in the result."""
    rank = x.dim() + axes.numel()
    for axis in sorted(axis % rank for axis in axes.flatten().tolist()):
        x = x.unsqueeze(axis)
    return x


def gather(x: Tensor, indices: Tensor, axis: int = 0) -> Tensor:
    """``Gather``: the result has the shape of ``indices`` in place of ``axis``."""
    indices = indices.to(x.device)
    indices = torch.where(indices < 0, indices + x.shape[axis], indices)
    taken = x.index_select(axis, indices.flatten())
    return taken.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def slice_(
    x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> Tensor:
    """``Slice`` with positive or negative steps."""
    names = axes.tolist() if axes is not None else list(range(starts.numel()))
    strides = steps.tolist() if steps is not None else [1] * len(names)
    for axis, start, end, step in zip(names, starts.tolist(), ends.tolist(), strides, strict=True):
        size = x.shape[axis]
        chosen = range(size)[slice(start, None if step < 0 and end < -size else end, step)]
        if step == 1:
            x = x.narrow(axis, chosen.start, len(chosen))
        else:
            x = x.index_select(axis, torch.tensor(list(chosen), device=x.device))
    return x


def split(x: Tensor, sizes: Tensor, axis: int) -> tuple[Tensor, ...]:
    """``Split``."""
    return tuple(x.split(sizes.tolist(), axis))


def concatenate(*parts: Tensor, axis: int) -> Tensor:
    """``Concat``."""
    return torch.cat(parts, axis)


def resize(x: Tensor, _: None, scales: Tensor, **attributes: Any) -> Tensor:
    """``Resize`` of the last dimension: nearest (asymmetric, floor) or linear (half pixel)."""
    mode: str = attributes["mode"]
    aligned = False if mode == "linear" else None
    return F.interpolate(
        x, scale_factor=float(scales[-1]), mode=mode, align_corners=aligned, recompute_scale_factor=False
    )


def pad_reflecting(x: Tensor, pads: Tensor, **_: Any) -> Tensor:
    """``Pad`` in mode reflect, of the last dimension."""
    amounts = pads.tolist()
    return F.pad(x, (amounts[x.dim() - 1], amounts[-1]), mode="reflect")


def lstm(
    x: Tensor,
    network: torch.nn.LSTM,
    hidden: Tensor,
    cell: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """``DynamicQuantizeLSTM``: (T, B, W) to (T, 2, B, H), the last hidden states and the last cells."""
    output, (hidden, cell) = network(x, (hidden.contiguous(), cell.contiguous()))
    frames, batch, _ = output.shape
    return output.reshape(frames, batch, 2, -1).transpose(1, 2), hidden, cell


def stft(x: Tensor, step: Tensor, window: Tensor, length: Tensor, **_: Any) -> Tensor:
    """``STFT``, one-sided, of (B, L, 1) or (B, L) to (B, F, K, 2), with onnxruntime's errors."""
    if 2 * (len(STFT_ERRORS) - 1) != int(length):
        raise NotImplementedError(f"a window of {int(length)} samples")
    frames = x.reshape(x.shape[0], -1).unfold(-1, int(length), int(step)) * window
    spectrum = torch.view_as_real(torch.fft.rfft(frames))
    errors = torch.tensor(STFT_ERRORS, device=x.device) * 1e-8
    return spectrum + errors * spectrum[..., :1, :1]


def scatter(x: Tensor, indices: Tensor, updates: Tensor, **_: Any) -> Tensor:
    """``ScatterND`` without reduction."""
    result = x.clone()
    result[tuple(indices.to(x.device).unbind(-1))] = updates
    return result


def skip_layer_norm(x: Tensor, skip: Tensor, scale: Tensor, bias: Tensor, epsilon: float) -> Tensor:
    """``SkipLayerNormalization``: the norm of a sum."""
    return F.layer_norm(x + skip, x.shape[-1:], scale, bias, epsilon)


def layer_norm(
    x: Tensor, scale: Tensor, bias: Tensor | None = None, axis: int = -1, epsilon: float = 1e-5, **_: Any
) -> Tensor:
    """``LayerNormalization`` over the last dimension; other axes are refused."""
    if axis != -1:
        raise NotImplementedError(f"axis {axis}")
    return F.layer_norm(x, x.shape[-1:], scale, bias, epsilon)


def power(x: Tensor, exponent: Tensor) -> Tensor:
    """``Pow``: a square is a product, which takes a fifth of the time of ``torch.pow``."""
    is_square = exponent.numel() == 1 and exponent.item() == 2
    return x * x if is_square else torch.pow(x, exponent)


def divide(a: Tensor, b: Tensor) -> Tensor:
    """``Div``: integers are truncated."""
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def fused_product(a: Tensor, b: Tensor, **attributes: Any) -> Tensor:
    """``FusedMatMul``."""
    a = a.mT if attributes["transA"] else a
    return float(attributes["alpha"]) * (a @ (b.mT if attributes["transB"] else b))


def range_(start: Tensor, limit: Tensor, step: Tensor) -> Tensor:
    """``Range``."""
    return torch.arange(start.item(), limit.item(), step.item(), dtype=start.dtype, device=limit.device)


OPERATORS: dict[str, Operator] = {
    "Add": torch.add,
    "And": torch.logical_and,
    # the phase of an exact zero, 0 / 0, is 0; onnxruntime's STFT has rounding errors instead of zeros
    "Atan": lambda x: torch.atan(x).nan_to_num(0.0),
    "Cast": lambda x, to, saturate=1: x.to(DTYPES[to]) if to in DTYPES else x,
    "Clip": lambda x, low, high: x.clamp(low, high),
    "Concat": concatenate,
    "ConstantOfShape": lambda shape, value: value.expand(shape.tolist()).contiguous(),
    "Conv": convolve,
    "ConvTranspose": convolve_transposed,
    "Cos": torch.cos,
    "CumSum": lambda x, axis, exclusive=0, reverse=0: x.cumsum(int(axis)),
    "DequantizeLinear": lambda x, scale, zero: (x.float() - zero.float()) * scale,
    "Div": divide,
    "DynamicQuantizeLinear": lambda x: x * (1 / FINEST),
    "Equal": torch.eq,
    "Exp": torch.exp,
    "Expand": lambda x, shape: x * torch.ones(shape.tolist(), dtype=x.dtype, device=x.device),
    "FastGelu": lambda x, bias=None: F.gelu(x if bias is None else x + bias, approximate="tanh"),
    "Floor": torch.floor,
    "FusedMatMul": fused_product,
    "Gather": gather,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "LayerNormalization": layer_norm,
    "LeakyRelu": lambda x, alpha: F.leaky_relu(x, alpha),
    "Less": torch.lt,
    "MatMul": torch.matmul,
    "Mul": torch.mul,
    "NonZero": lambda x: x.nonzero().T,
    "Pad": pad_reflecting,
    "Pow": power,
    "Range": range_,
    "ReduceMean": lambda x, axes, keepdims=1, **_: x.mean(axes.tolist(), keepdim=bool(keepdims)),
    "ReduceSum": lambda x, axes, keepdims=1, **_: x.sum(axes.tolist(), keepdim=bool(keepdims)),
    "Reshape": reshape,
    "Resize": resize,
    "Round": torch.round,
    "STFT": stft,
    "ScatterND": scatter,
    "Shape": lambda x, start=0: torch.tensor(x.shape, dtype=torch.int64),
    "Sigmoid": torch.sigmoid,
    "Sin": torch.sin,
    "SkipLayerNormalization": skip_layer_norm,
    "Slice": slice_,
    "Softmax": lambda x, axis=-1: x.softmax(axis),
    "Split": split,
    "Sqrt": torch.sqrt,
    "Squeeze": squeeze,
    "Sub": torch.sub,
    "Tanh": torch.tanh,
    "Transpose": lambda x, perm: x.permute(perm),
    "Unsqueeze": unsqueeze,
    "Where": torch.where,
}
# inputs at these positions are shapes, axes and the like, which the functions above read on the CPU
ON_CPU: dict[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,),
    "CumSum": (1,),
    "Expand": (1,),
    "Range": (0, 1, 2),
    "ReduceMean": (1,),
    "ReduceSum": (1,),
    "Pow": (1,),
    "Reshape": (1,),
    "Resize": (2,),
    "Pad": (1,),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
}
