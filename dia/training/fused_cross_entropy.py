"""The head and the cross-entropy together, a piece of time at a time, so that the logits are never held
whole.

Logits of Dia-1.6B are 9 x 1,028 numbers a step: 40,000 steps would take 1.5 GB, several times over. Here a
piece's logits are made, summed up, turned into their gradient, and forgotten (as in Liger-Kernel's fused
linear cross-entropy). For that the weights of the channels must be known beforehand.

Legend: R step of all clips in a row, P step of a piece, C codec channel, V ids per channel, D width.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dia.training.loss import ChannelSums


def head_sums(
    features_RD: Tensor, weight: Tensor, targets_RC: Tensor, eos: int, weights_C: Tensor, piece: int
) -> ChannelSums:
    """Return what :func:`channel_sums` returns of the logits ``features @ weight.T``, holding those of
    ``piece`` steps at most.

    ``weight`` is (C x V, D). Under autocast the products are made in its type, the softmax in fp32. The
    gradient is that of the sum weighted with ``weights_C``, times any number: asking for another one raises
    ``RuntimeError``.
    """
    cross_entropy_C, correct_C, eos_cross_entropy = _HeadSums.apply(
        features_RD, weight, targets_RC, eos, weights_C, piece
    )
    ends = (targets_RC[:, 0] == eos).sum()
    return ChannelSums(cross_entropy_C, correct_C, (targets_RC <= eos).sum(0), eos_cross_entropy, ends)


class _HeadSums(torch.autograd.Function):
    """Sums (C,) of cross-entropy and right guesses, and the cross-entropy of channel 0's EOS; only the first
    has a gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features_RD: Tensor,
        weight: Tensor,
        targets_RC: Tensor,
        eos: int,
        weights_C: Tensor,
        piece: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        device = features_RD.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else features_RD.dtype
        wide = torch.promote_types(dtype, torch.float32)
        matrix, weights_C = weight.to(dtype), weights_C.to(wide)
        lost_RC = torch.empty(targets_RC.shape, dtype=wide, device=features_RD.device)
        correct_C = torch.zeros(len(weights_C), dtype=torch.long, device=features_RD.device)
        asked = any(ctx.needs_input_grad[:2])
        to_features_RD = torch.empty_like(features_RD) if asked else None
        to_weight = torch.zeros_like(weight, dtype=wide) if asked else None
        for begin in range(0, len(features_RD), piece):
            part = slice(begin, begin + piece)
            features_PD, targets_PC = features_RD[part].to(dtype), targets_RC[part]
            asked_PC = targets_PC <= eos
            logits_PCV = (features_PD @ matrix.T).unflatten(1, (len(weights_C), -1)).to(wide)
            highest_PC, guessed_PC = logits_PCV.max(-1)
            logits_PCV.sub_(highest_PC[..., None])
            wanted_PC = logits_PCV.gather(-1, targets_PC[..., None])[..., 0]
            total_PC = logits_PCV.exp_().sum(-1)
            lost_RC[part] = (total_PC.log() - wanted_PC) * asked_PC
            correct_C += ((guessed_PC == targets_PC) & asked_PC).sum(0)
            if to_features_RD is not None and to_weight is not None:
                slope_PF = _slope(logits_PCV, total_PC, targets_PC, asked_PC * weights_C).to(dtype)
                to_features_RD[part] = slope_PF @ matrix
                to_weight += slope_PF.T @ features_PD
        ctx.save_for_backward(to_features_RD, to_weight, weights_C)
        ctx.dtype = weight.dtype
        eos_cross_entropy = (lost_RC[:, 0] * (targets_RC[:, 0] == eos)).sum()
        ctx.mark_non_differentiable(correct_C, eos_cross_entropy)
        return lost_RC.sum(0), correct_C, eos_cross_entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_C: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        to_features_RD, to_weight, weights_C = ctx.saved_tensors
        scale = gradient_C[0] / weights_C[0]
        same = torch.isclose(gradient_C, scale * weights_C, rtol=1e-4, atol=0.0, equal_nan=True).all()
        torch._assert_async(
            same, "the gradient of the head is that of the sum weighted with weights_C; ask for no other"
        )
        return to_features_RD * scale, (to_weight * scale).to(ctx.dtype), None, None, None, None


def _slope(exponentials_PCV: Tensor, total_PC: Tensor, targets_PC: Tensor, weight_PC: Tensor) -> Tensor:
    """Return the gradient (P, C x V) of the weighted cross-entropy: softmax less the target. Changes its
    first argument.
    """
    exponentials_PCV.mul_((weight_PC / total_PC)[..., None])
    exponentials_PCV.scatter_add_(-1, targets_PC[..., None], -weight_PC[..., None].to(exponentials_PCV.dtype))
    return exponentials_PCV.flatten(1)
