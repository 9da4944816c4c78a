"""Autograd functions that save fewer activations for the backward pass than torch's autograd would.

Each saves its inputs and recomputes everything else: a norm saves one tensor of its width instead of three, a
gated SiLU two of the intermediate size instead of three.

Legend: B batch, T step, D width, I inner width.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


class RootMeanSquareNorm(torch.autograd.Function):
    """``weight * x / sqrt(mean(x * x) + epsilon)``, computed in fp32 at least and returned in x's type."""

    @staticmethod
    def forward(ctx: Any, x_BTD: Tensor, weight_D: Tensor, epsilon: float) -> Tensor:
        """Return the normed features, same shape and type."""
        wide = torch.promote_types(x_BTD.dtype, torch.float32)
        x32 = x_BTD.to(wide)
        inverse_BT1 = torch.rsqrt((x32 * x32).mean(-1, keepdim=True) + epsilon)
        ctx.save_for_backward(x_BTD, weight_D, inverse_BT1)
        return (x32 * inverse_BT1).mul_(weight_D.to(wide)).to(x_BTD.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BTD: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients to the features and the weight; none to ``epsilon``."""
        x_BTD, weight_D, inverse_BT1 = ctx.saved_tensors
        normed_BTD = x_BTD.to(inverse_BT1.dtype) * inverse_BT1
        gradient_BTD = gradient_BTD.to(inverse_BT1.dtype)
        to_weight_D = (gradient_BTD * normed_BTD).flatten(0, -2).sum(0)
        to_normed_BTD = gradient_BTD * weight_D.to(inverse_BT1.dtype)
        along_BT1 = (to_normed_BTD * normed_BTD).mean(-1, keepdim=True)
        to_x_BTD = to_normed_BTD.sub_(normed_BTD.mul_(along_BT1)).mul_(inverse_BT1)
        return to_x_BTD.to(x_BTD.dtype), to_weight_D.to(weight_D.dtype), None


class SiLUTimes(torch.autograd.Function):
    """``silu(gate) * up`` of the two halves of a tensor (B, T, 2 I), gate first."""

    @staticmethod
    def forward(ctx: Any, gate_up_BTJ: Tensor) -> Tensor:
        """Return the product (B, T, I)."""
        ctx.save_for_backward(gate_up_BTJ)
        gate_BTI, up_BTI = gate_up_BTJ.chunk(2, dim=-1)
        return F.silu(gate_BTI).mul_(up_BTI)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BTI: Tensor) -> Tensor:
        """Return the gradient to both halves."""
        (gate_up_BTJ,) = ctx.saved_tensors
        gate_BTI, up_BTI = gate_up_BTJ.chunk(2, dim=-1)
        to_gate_up_BTJ = torch.empty_like(gate_up_BTJ)
        to_gate_BTI, to_up_BTI = to_gate_up_BTJ.chunk(2, dim=-1)
        share_BTI = torch.sigmoid(gate_BTI)
        silu_BTI = gate_BTI * share_BTI
        torch.mul(gradient_BTI, silu_BTI, out=to_up_BTI)
        # the slope of silu(g) is s + silu(g) (1 - s), where s = sigmoid(g)
        slope_BTI = share_BTI.addcmul_(silu_BTI, 1 - share_BTI)
        torch.mul(slope_BTI.mul_(up_BTI), gradient_BTI, out=to_gate_BTI)
        return to_gate_up_BTJ
