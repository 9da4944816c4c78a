"""Gradient scaling and norm clipping in one pass over the gradients."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


def scale_and_clip(parameters: Iterable[nn.Parameter], scale: float, max_norm: float) -> Tensor:
    """Scale all gradients, clip their total norm to ``max_norm``, and return the norm before clipping.

    The norm of sharded gradients is computed over all ranks.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    norm = (norm.full_tensor() if isinstance(norm, DTensor) else norm) * scale
    factor = scale * (max_norm / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(gradients, float(factor))
    return norm
