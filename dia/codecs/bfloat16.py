"""Linear layers of the spectral codec in bfloat16, on processors that multiply it: half of their time."""

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Part = TypeVar("Part", bound=nn.Module)
INNER = "widen"  # layers of a block whose output stays in bfloat16 for the next layer


class Bfloat16Linear(nn.Module):
    """A linear layer (O, I) computed in bfloat16 with sums in fp32; its output has the type ``output``."""

    def __init__(self, linear: nn.Linear, output: torch.dtype) -> None:
        super().__init__()
        self.output = output
        self.weight = nn.Parameter(linear.weight.detach().bfloat16(), requires_grad=False)
        self.bias = nn.Parameter(linear.bias.detach().bfloat16(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., O) of features (..., I)."""
        return F.linear(x.bfloat16(), self.weight, self.bias).to(self.output)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether a device is a CPU with instructions for products of bfloat16."""
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def in_bfloat16(part: Part) -> Part:
    """Return a copy of the decoder or of the flow whose linear layers multiply in bfloat16."""
    copied = copy.deepcopy(part)
    for name, layer in list(copied.named_modules()):
        if isinstance(layer, nn.Linear):
            output = torch.bfloat16 if name.endswith(INNER) else torch.float32
            copied.set_submodule(name, Bfloat16Linear(layer, output))
    return copied
