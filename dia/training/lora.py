"""LoRA (Hu et al. 2021, arXiv 2106.09685): beside a frozen weight W (O, I) two small matrices learn, y = x (W
+ s B A)'.

A layer keeps the name of its weight, so a state dict holds the base under its own names and the adapters
beside it (`<module>.lora_A`, `<module>.lora_B`): the merge and the files are dia/checkpoint/adapter.py's.

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
    """A linear layer without bias whose weight stands still, and its adapter; before training the adapter
    adds nothing.
    """

    def __init__(self, base: nn.Linear, config: LoraConfig) -> None:
        super().__init__()
        self.weight = base.weight.requires_grad_(False)
        outputs, inputs = base.weight.shape
        device = base.weight.device
        self.lora_A = nn.Parameter(torch.empty(config.rank, inputs, device=device))
        self.lora_B = nn.Parameter(torch.zeros(outputs, config.rank, device=device))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))  # as PEFT does
        self.scale, self.dropout = config.alpha / config.rank, config.dropout

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., O) of features (..., I)."""
        small = F.linear(F.dropout(x, self.dropout, self.training), self.lora_A)
        out: Tensor = F.linear(x, self.weight) + self.scale * F.linear(small, self.lora_B)
        return out


def add_adapters(network: DiaNetwork, config: LoraConfig) -> None:
    """Freeze the network and put an adapter on every linear layer that the config names, in place.

    The adapters' first values depend on torch's random state only. Raises ``ValueError`` when a target is in
    no layer.
    """
    network.requires_grad_(False)
    layers = {name: child for name, child in network.named_modules() if isinstance(child, nn.Linear)}
    if missing := [target for target in config.targets if not any(_is(name, target) for name in layers)]:
        raise ValueError(
            f"lora.targets={missing} are in no layer of this network; choose from {', '.join(TARGETS)}"
        )
    for name, layer in layers.items():
        if any(_is(name, target) for target in config.targets):
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, LoraLinear(layer, config))


def frozen(network: DiaNetwork) -> dict[str, nn.Parameter]:
    """Return the weights that stand still, by name."""
    return {name: weight for name, weight in network.named_parameters() if not weight.requires_grad}


def adapter_of(state: dict[str, Tensor], lora: LoraConfig, config: DiaConfig, base: Base) -> Adapter:
    """Return the adapter that a network's state dict holds beside its weights."""
    tensors = {name: tensor for name, tensor in state.items() if name.endswith((".lora_A", ".lora_B"))}
    return Adapter(lora.rank, lora.alpha, list(lora.targets), base, config, tensors)


def _is(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")
