"""The parts of Dia's layers: RMS norm in fp32, half-split rotary positions, attention of scale 1, gated SiLU.

Submodule names follow the transformers layout, so that a checkpoint maps name by name (dia/checkpoint).

Legend: B batch, T query step, S key step, D width, N heads, K key-value heads, H head width.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia.network.autograd_ops import RootMeanSquareNorm, SiLUTimes
from dia.network.linear import Linear


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed and weighted in fp32 whatever the compute type."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return the normed features, same shape and type."""
        if _lean() and x_BTD.device.type == "cpu":  # elsewhere torch has a kernel that keeps as little
            lean: Tensor = RootMeanSquareNorm.apply(x_BTD, self.weight, self.epsilon)
            return lean
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
        if _lean():
            out: Tensor = self.down_proj(SiLUTimes.apply(gate_up_BTJ))
            return out
        gate, up = gate_up_BTJ.chunk(2, dim=-1)
        out = self.down_proj(F.silu(gate) * up)
        return out


def _lean() -> bool:
    """Whether the operations with a written-out gradient are used: to train, unless a compiler sees to what
    is kept.
    """
    return torch.is_grad_enabled() and not torch.compiler.is_compiling()


def rotary_angles(positions_T: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Return cosine and sine (T, H) in fp32 for positions (T,); the two halves of a head share the angles."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions_T.device) / head_dim
    angles = positions_T.float()[:, None] / theta**exponents
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x_BNTH: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (feature i, feature i + H/2) by its position's angle; computed in fp32 at least,
    returned in x's type.
    """
    cosine, sine = angles
    x32 = x_BNTH.to(torch.promote_types(x_BNTH.dtype, torch.float32))
    first, second = x32.chunk(2, dim=-1)
    return (x32 * cosine + torch.cat((-second, first), dim=-1) * sine).to(x_BNTH.dtype)


def attend_without_plans() -> None:
    """Have torch leave out cuDNN's attention in this process.

    Torch 2.11 prefers it on new GPUs, and it makes a plan for every new shape (modelscope/FunASR issue 3704),
    which nearly every batch has here: a training step of dia_nano took 354 ms on an H200, and 69 without it.
    The other kernels take any shape.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)


def _mix(
    queries_BNTH: Tensor, keys_BKSH: Tensor, values_BKSH: Tensor, mask: Tensor | None, causal: bool
) -> Tensor:
    """Return what queries find (B, N, T, H) with a scale of 1.0, in their type.

    A CPU takes three times as long for the gradient in bf16 as in fp32 (torch 2.14, Zen 4: 25 ms and 8 for 12
    clips of 120 steps and 8 heads), which was a third of a training step; so there it is made in fp32.
    """
    mix = partial(
        F.scaled_dot_product_attention, attn_mask=mask, is_causal=causal, scale=1.0,
        enable_gqa=queries_BNTH.shape[1] != keys_BKSH.shape[1],
    )  # fmt: skip
    if queries_BNTH.device.type == "cpu" and torch.is_grad_enabled():
        wide = torch.promote_types(queries_BNTH.dtype, torch.float32)
        with torch.autocast("cpu", enabled=False):
            return mix(queries_BNTH.to(wide), keys_BKSH.to(wide), values_BKSH.to(wide)).to(queries_BNTH.dtype)
    return mix(queries_BNTH, keys_BKSH, values_BKSH)


class Attention(nn.Module):
    """Multi-head attention of scale 1.0 with grouped keys and values, as Dia has it (not 1/sqrt(H)).

    ``qkv_proj`` may take the place of the three projections (:meth:`fuse`): one product of few rows instead
    of three.
    """

    def __init__(
        self, width: int, memory_width: int, heads: int, key_value_heads: int, head_dim: int
    ) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.qkv_proj: nn.Module | None = None
        self.q_proj = Linear(width, heads * head_dim)
        self.k_proj = Linear(memory_width, key_value_heads * head_dim)
        self.v_proj = Linear(memory_width, key_value_heads * head_dim)
        self.o_proj = Linear(heads * head_dim, width)

    def queries(self, x_BTD: Tensor) -> Tensor:
        """Return the queries (B, N, T, H)."""
        return self._heads(self.q_proj(x_BTD))

    def queries_keys_values(self, x_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (B, N, T, H), keys and values (B, K, T, H) of a sequence that attends to itself."""
        if self.qkv_proj is None:
            return self.queries(x_BTD), *self.keys_values(x_BTD)
        queries, keys, values = self.qkv_proj(x_BTD).split(self.widths, dim=-1)
        return self._heads(queries), self._heads(keys), self._heads(values)

    def fuse(self, make: Callable[[Tensor], nn.Module]) -> None:
        """Let ``make`` turn the three projections' weights, joined (O, I), into one module; only for
        self-attention.
        """
        weights = [projection.weight.data for projection in (self.q_proj, self.k_proj, self.v_proj)]
        self.widths = [len(weight) for weight in weights]
        del self.q_proj, self.k_proj, self.v_proj
        self.qkv_proj = make(torch.cat(weights))

    def keys_values(self, memory_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values (B, K, S, H)."""
        return self._heads(self.k_proj(memory_BSD)), self._heads(self.v_proj(memory_BSD))

    def attend(
        self, queries_BNTH: Tensor, keys_BKSH: Tensor, values_BKSH: Tensor, mask: Tensor | None, causal: bool
    ) -> Tensor:
        """Return the attended features (B, T, D). ``mask`` is boolean, true where a key may be seen."""
        heads, steps = queries_BNTH.shape[1:3]
        shared = heads // keys_BKSH.shape[1]
        if steps == 1 and shared > 1:
            # one step: the queries that share a key stand in a row, as if they were steps, and no key is
            # copied
            queries_BNTH = queries_BNTH.unflatten(1, (-1, shared)).flatten(2, 3)
        mixed = _mix(queries_BNTH, keys_BKSH, values_BKSH, mask, causal)
        if steps == 1 and shared > 1:
            mixed = mixed.flatten(1, 2).unsqueeze(2)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return out

    def _heads(self, x_BTF: Tensor) -> Tensor:
        return x_BTF.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
