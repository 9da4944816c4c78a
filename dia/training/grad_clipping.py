"""A gradient is scaled, measured and clipped in one pass."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


def scale_and_clip(parameters: Iterable[nn.Parameter], scale: float, most: float) -> Tensor:
    """Multiply all gradients by ``scale``, then clip their joint norm to ``most``; return the norm before
    clipping.

    Sharded gradients are measured over all ranks.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    norm = (norm.full_tensor() if isinstance(norm, DTensor) else norm) * scale
    factor = scale * (most / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(gradients, float(factor))
    return norm
