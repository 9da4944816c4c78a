"""LoRA (Hu et al. 2021, arXiv 2106.09685): low-rank adapters beside frozen linear layers, y = x (W + s B A)'.

A layer keeps the name of its weight, so a state dict holds the base weights under their own names and the
adapters beside them (`<module>.lora_A`, `<module>.lora_B`). dia/checkpoint/adapter.py merges and stores
them. This is our own code because PEFT wraps modules and so renames weights, which checkpoints and FSDP2
rely on; tests compare both (tests/training/test_lora.py).

Legend: B clip, T step, O output features, I input features, R rank.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia.checkpoint.adapter import Adapter, Base
from dia.config.lora import TARGETS, LoraConfig
from dia.network import DiaConfig, DiaNetwork


class LoraLinear(nn.Module):
    """A frozen linear layer without bias plus its adapter, whose output is zero before training."""

    def __init__(self, base: nn.Linear, config: LoraConfig) -> None:
        super().__init__()
        self.weight = base.weight.requires_grad_(False)
        outputs, inputs = base.weight.shape
        device = base.weight.device
        self.lora_A = nn.Parameter(torch.empty(config.rank, inputs, device=device))
        self.lora_B = nn.Parameter(torch.zeros(outputs, config.rank, device=device))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))  # as PEFT does
        self.scale, self.dropout = config.alpha / config.rank, config.dropout
        self.enabled = True

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., O) of features (..., I); those of the base alone where the adapter is not enabled."""
        if not self.enabled:
            return F.linear(x, self.weight)
        small = F.linear(F.dropout(x, self.dropout, self.training), self.lora_A)
        out: Tensor = F.linear(x, self.weight) + self.scale * F.linear(small, self.lora_B)
        return out


def add_adapters(network: DiaNetwork, config: LoraConfig) -> None:
    """Freeze the network and add an adapter to every linear layer that the config names, in place.

    The initial values depend on torch's random state only. Raises ``ValueError`` when a target matches no
    layer.
    """
    network.requires_grad_(False)
    layers = {name: child for name, child in network.named_modules() if isinstance(child, nn.Linear)}
    if missing := [target for target in config.targets if not any(_is(name, target) for name in layers)]:
        raise ValueError(
            f"lora.targets={missing} match no layer of this network; choose from {', '.join(TARGETS)}"
        )
    for name, layer in layers.items():
        if any(_is(name, target) for target in config.targets):
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, LoraLinear(layer, config))


def frozen(network: DiaNetwork) -> dict[str, nn.Parameter]:
    """Return the frozen weights by name."""
    return {name: weight for name, weight in network.named_parameters() if not weight.requires_grad}


def adapter_of(state: dict[str, Tensor], lora: LoraConfig, config: DiaConfig, base: Base) -> Adapter:
    """Return the adapter from a network's state dict."""
    tensors = {name: tensor for name, tensor in state.items() if name.endswith((".lora_A", ".lora_B"))}
    return Adapter(lora.rank, lora.alpha, list(lora.targets), base, config, tensors)


def _is(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")
