"""Building blocks of Dia's layers: RMS norm in fp32, rotary positions, attention of scale 1, gated SiLU.

Submodule names follow the transformers layout, so that checkpoints map name by name (:mod:`dia.checkpoint`).

Legend: B batch, T query step, S key step, D width, N heads, K key-value heads, H head width.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia import native
from dia.network.autograd_ops import RootMeanSquareNorm, SiLUTimes
from dia.network.linear import Linear
from dia.network.packing import Segments

WIDE = 1024  # features of all heads from which on a network is large


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed and weighted in fp32 whatever the type of its input."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return the normed features, same shape and type."""
        if _use_autograd_ops() and x_BTD.device.type == "cpu":  # torch's GPU kernel saves as little
            normed_BTD: Tensor = RootMeanSquareNorm.apply(x_BTD, self.weight, self.epsilon)
            return normed_BTD
        wide = torch.promote_types(x_BTD.dtype, torch.float32)
        normed = F.rms_norm(x_BTD.to(wide), self.weight.shape, self.weight.to(wide), self.epsilon)
        return normed.to(x_BTD.dtype)


class GatedSiLU(nn.Module):
    """Feed-forward ``down(silu(gate(x)) * up(x))`` with gate and up in one matrix, gate first."""

    def __init__(self, width: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_up_proj = Linear(width, 2 * intermediate_size)
        self.down_proj = Linear(intermediate_size, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return features of the same shape."""
        gate_up_BTJ = self.gate_up_proj(x_BTD)
        if _use_autograd_ops():
            out: Tensor = self.down_proj(SiLUTimes.apply(gate_up_BTJ))
            return out
        gate, up = gate_up_BTJ.chunk(2, dim=-1)
        out = self.down_proj(F.silu(gate) * up)
        return out


def _use_autograd_ops() -> bool:
    """Return whether to use memory-saving autograd functions: in training, unless torch.compile does it."""
    return torch.is_grad_enabled() and not torch.compiler.is_compiling()


def rotary_angles(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Return cosine and sine (..., T, H) in fp32 for positions (..., T).

    The two halves of a head share the angles. Positions (B, 1, T) give each item its own angles.
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device) / head_dim
    angles = positions.float()[..., None] / theta**exponents
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x_BNTH: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Return x with each pair (feature i, feature i + H/2) rotated by its position's angle, in x's type.

    The computation is in fp32 at least.
    """
    cosine, sine = angles
    x32 = x_BNTH.to(torch.promote_types(x_BNTH.dtype, torch.float32))
    first, second = x32.chunk(2, dim=-1)
    return (x32 * cosine + torch.cat((-second, first), dim=-1) * sine).to(x_BNTH.dtype)


def disable_cudnn_attention() -> None:
    """Disable cuDNN's attention kernel in this process.

    Torch 2.11 prefers it on new GPUs, and it builds a plan for every new shape (modelscope/FunASR issue
    3704), which nearly every batch has here: a training step of dia_nano took 354 ms on an H200, and 69
    without it. The other kernels take any shape.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)


Mask = Tensor | Segments | None
"""Which keys a query attends to: boolean and true there, the segments of a packed batch, or all keys."""


def _attention(
    queries_BNTH: Tensor, keys_BKSH: Tensor, values_BKSH: Tensor, mask: Mask, causal: bool
) -> Tensor:
    """Return scaled dot-product attention (B, N, T, H) with a scale of 1.0, in the queries' type.

    On a CPU the gradient takes three times as long in bf16 as in fp32 (torch 2.14, Zen 4: 25 ms and 8 for 12
    clips of 120 steps and 8 heads), which was a third of a training step, so it is computed in fp32 there.
    """
    attention: Callable[[Tensor, Tensor, Tensor], Tensor]
    if isinstance(mask, Segments):
        attention = partial(mask.attend, causal=causal)
    else:
        attention = partial(
            F.scaled_dot_product_attention,
            attn_mask=mask,
            is_causal=causal,
            scale=1.0,
            enable_gqa=queries_BNTH.shape[1] != keys_BKSH.shape[1],
        )
    if queries_BNTH.device.type == "cpu" and torch.is_grad_enabled():
        wide = torch.promote_types(queries_BNTH.dtype, torch.float32)
        with torch.autocast("cpu", enabled=False):
            mixed = attention(queries_BNTH.to(wide), keys_BKSH.to(wide), values_BKSH.to(wide))
            return mixed.to(queries_BNTH.dtype)
    return attention(queries_BNTH, keys_BKSH, values_BKSH)


def _native_attention(queries_BNTH: Tensor, keys_BKSH: Tensor, values_BKSH: Tensor, mask: Tensor) -> Tensor:
    """Return attention (B, N, T, H) by dia/native; ``mask`` has one head, and one or all steps."""
    batch, _, steps, _ = queries_BNTH.shape
    mask_BTS = mask[:, 0].expand(batch, steps, -1)
    mixed: Tensor = torch.ops.dia_native.attend(queries_BNTH, keys_BKSH, values_BKSH, mask_BTS)
    return mixed


class Attention(nn.Module):
    """Multi-head attention with grouped keys and values, and a scale of 1.0 as in Dia (not 1/sqrt(H)).

    :meth:`fuse` replaces the three input projections by one module, ``qkv_proj``. ``quantized`` is true in a
    network whose linear layers are integers on a CPU, ``incremental`` in a decoder, whose queries come step
    by step.
    """

    def __init__(
        self, width: int, memory_width: int, heads: int, key_value_heads: int, head_dim: int
    ) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.qkv_proj: nn.Module | None = None
        self.quantized = self.incremental = False
        self.q_proj = Linear(width, heads * head_dim)
        self.k_proj = Linear(memory_width, key_value_heads * head_dim)
        self.v_proj = Linear(memory_width, key_value_heads * head_dim)
        self.o_proj = Linear(heads * head_dim, width)

    def queries(self, x_BTD: Tensor) -> Tensor:
        """Return the queries (B, N, T, H)."""
        return self._heads(self.q_proj(x_BTD))

    def queries_keys_values(self, x_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (B, N, T, H), keys and values (B, K, T, H) for self-attention."""
        if self.qkv_proj is None:
            return self.queries(x_BTD), *self.keys_values(x_BTD)
        queries, keys, values = self.qkv_proj(x_BTD).split(self.widths, dim=-1)
        return self._heads(queries), self._heads(keys), self._heads(values)

    def fuse(self, make_layer: Callable[[Tensor], nn.Module]) -> None:
        """Replace the three input projections by ``make_layer`` of their joined weights (O, I).

        Only self-attention can be fused; one product of few rows is faster than three.
        """
        weights = [projection.weight.data for projection in (self.q_proj, self.k_proj, self.v_proj)]
        self.widths = [len(weight) for weight in weights]
        del self.q_proj, self.k_proj, self.v_proj
        self.qkv_proj = make_layer(torch.cat(weights))

    def keys_values(self, memory_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values (B, K, S, H)."""
        return self._heads(self.k_proj(memory_BSD)), self._heads(self.v_proj(memory_BSD))

    def attend(
        self, queries_BNTH: Tensor, keys_BKSH: Tensor, values_BKSH: Tensor, mask: Mask, causal: bool
    ) -> Tensor:
        """Return the attention output (B, T, D)."""
        if isinstance(mask, Tensor) and self._native(queries_BNTH):
            mixed = _native_attention(queries_BNTH, keys_BKSH, values_BKSH, mask)
        else:
            mixed = self._mixed(queries_BNTH, keys_BKSH, values_BKSH, mask, causal)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return out

    def stored_dtype(self, features: Tensor) -> torch.dtype:
        """Return the dtype of cached keys and values: bf16 in a quantized decoder, for fewer bytes."""
        narrow = self.quantized and features.dtype == torch.float32 and self._native_for(features.dtype)
        return torch.bfloat16 if narrow else features.dtype

    def _native_for(self, dtype: torch.dtype) -> bool:
        has_gradient = torch.is_grad_enabled() and not self.quantized
        known = dtype in (torch.float32, torch.bfloat16) and self.incremental and not has_gradient
        return known and native.usable()

    def _native(self, queries_BNTH: Tensor) -> bool:
        """Return whether dia/native attends: in a decoder on a CPU that is quantized, bf16 or compiled."""
        if not self.incremental or queries_BNTH.device.type != "cpu":
            return False
        large = self.head_dim * queries_BNTH.shape[1] >= WIDE
        compiling = torch.compiler.is_compiling()
        if not (self.quantized or (large and (queries_BNTH.dtype == torch.bfloat16 or compiling))):
            return False
        return self._native_for(queries_BNTH.dtype)

    def _mixed(
        self, queries_BNTH: Tensor, keys_BKSH: Tensor, values_BKSH: Tensor, mask: Mask, causal: bool
    ) -> Tensor:
        heads, steps = queries_BNTH.shape[1:3]
        shared = heads // keys_BKSH.shape[1]
        if steps == 1 and shared > 1:
            # one step: treat the queries that share a key as steps, so that no key is copied
            queries_BNTH = queries_BNTH.unflatten(1, (-1, shared)).flatten(2, 3)
        mixed = _attention(queries_BNTH, keys_BKSH, values_BKSH, mask, causal)
        if steps == 1 and shared > 1:
            mixed = mixed.flatten(1, 2).unsqueeze(2)
        return mixed

    def _heads(self, x_BTF: Tensor) -> Tensor:
        x_BHTE: Tensor = x_BTF.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        return x_BHTE
