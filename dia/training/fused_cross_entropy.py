"""Output head and cross-entropy fused over pieces of time, so that the whole logits never exist in memory.

Dia-1.6B has 9 x 1,028 logits a step: 40,000 steps take 1.5 GB, several times over. Here the logits of a piece
are computed, reduced to sums and to their gradient, and freed, as in Liger-Kernel's fused linear
cross-entropy. The gradient is computed in the forward pass, so the channel weights must be known there.

This is our own code because library kernels return one mean loss over one vocabulary; training needs sums and
counts per codec channel, on CPU too.

Legend: R step of all clips in a row, P step of a piece, C codec channel, V ids per channel, D width,
F = C x V.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dia.training.loss import ChannelSums


def head_sums(
    features_RD: Tensor, weight: Tensor, targets_RC: Tensor, eos: int, weights_C: Tensor, piece: int
) -> ChannelSums:
    """Return :func:`channel_sums` of the logits ``features @ weight.T``, computed ``piece`` steps at a time.

    ``weight`` is (C x V, D). Under autocast the products use its type, the softmax fp32. Only the gradient of
    the sum weighted with ``weights_C``, times any number, is available; another one raises ``RuntimeError``.
    """
    cross_entropy_C, correct_C, eos_cross_entropy = _HeadSums.apply(
        features_RD, weight, targets_RC, eos, weights_C, piece
    )
    eos_count = (targets_RC[:, 0] == eos).sum()
    return ChannelSums(cross_entropy_C, correct_C, (targets_RC <= eos).sum(0), eos_cross_entropy, eos_count)


class _HeadSums(torch.autograd.Function):
    """Cross-entropy (C,), correct predictions (C,) and EOS cross-entropy; only the first has a gradient."""

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
        softmax_dtype = torch.promote_types(dtype, torch.float32)
        matrix, weights_C = weight.to(dtype), weights_C.to(softmax_dtype)
        loss_RC = torch.empty(targets_RC.shape, dtype=softmax_dtype, device=features_RD.device)
        correct_C = torch.zeros(len(weights_C), dtype=torch.long, device=features_RD.device)
        needs_gradient = any(ctx.needs_input_grad[:2])
        grad_features_RD = torch.empty_like(features_RD) if needs_gradient else None
        grad_weight = torch.zeros_like(weight, dtype=softmax_dtype) if needs_gradient else None
        for begin in range(0, len(features_RD), piece):
            rows = slice(begin, begin + piece)
            features_PD, targets_PC = features_RD[rows].to(dtype), targets_RC[rows]
            valid_PC = targets_PC <= eos
            logits_PCV = (features_PD @ matrix.T).unflatten(1, (len(weights_C), -1)).to(softmax_dtype)
            max_PC, argmax_PC = logits_PCV.max(-1)
            logits_PCV.sub_(max_PC[..., None])
            target_logit_PC = logits_PCV.gather(-1, targets_PC[..., None])[..., 0]
            total_PC = logits_PCV.exp_().sum(-1)
            loss_RC[rows] = (total_PC.log() - target_logit_PC) * valid_PC
            correct_C += ((argmax_PC == targets_PC) & valid_PC).sum(0)
            if grad_features_RD is not None and grad_weight is not None:
                gradient_PF = _logit_gradient(logits_PCV, total_PC, targets_PC, valid_PC * weights_C)
                gradient_PF = gradient_PF.to(dtype)
                grad_features_RD[rows] = gradient_PF @ matrix
                grad_weight += gradient_PF.T @ features_PD
        ctx.save_for_backward(grad_features_RD, grad_weight, weights_C)
        ctx.dtype = weight.dtype
        eos_cross_entropy = (loss_RC[:, 0] * (targets_RC[:, 0] == eos)).sum()
        ctx.mark_non_differentiable(correct_C, eos_cross_entropy)
        return loss_RC.sum(0), correct_C, eos_cross_entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_C: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        grad_features_RD, grad_weight, weights_C = ctx.saved_tensors
        scale = gradient_C[0] / weights_C[0]
        is_weighted_sum = torch.isclose(
            gradient_C, scale * weights_C, rtol=1e-4, atol=0.0, equal_nan=True
        ).all()
        torch._assert_async(
            is_weighted_sum, "head_sums only has the gradient of the sum weighted with weights_C"
        )
        return grad_features_RD * scale, (grad_weight * scale).to(ctx.dtype), None, None, None, None


def _logit_gradient(
    exponentials_PCV: Tensor, total_PC: Tensor, targets_PC: Tensor, weight_PC: Tensor
) -> Tensor:
    """Return the gradient (P, C x V) of the weighted cross-entropy; overwrites its first argument."""
    exponentials_PCV.mul_((weight_PC / total_PC)[..., None])
    exponentials_PCV.scatter_add_(-1, targets_PC[..., None], -weight_PC[..., None].to(exponentials_PCV.dtype))
    return exponentials_PCV.flatten(1)
