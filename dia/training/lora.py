"""LoRA (Hu et al. 2021, arXiv 2106.09685): beside a frozen weight W (O, I) two small matrices learn, y = x (W
+ s B A)'.

A layer keeps the name of its weight, so a state dict holds the base under its own names and the adapters
beside it (`<module>.lora_A`, `<module>.lora_B`): the merge and the files are dia/checkpoint/adapter.py's.

Legend: B clip, T step, O output features, I input features, R rank.
"""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia.checkpoint.adapter import Adapter, Base
from dia.network import DiaConfig, DiaNetwork

PARTS = ("self_attention", "cross_attention", "mlp")
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj")
TARGETS = (
    *LAYERS,
    *(f"{part}.{layer}" for part in PARTS for layer in LAYERS if (part == "mlp") == (layer in LAYERS[4:])),
)


@dataclass
class LoraConfig:
    """Adapters instead of all weights. ``rank`` 0 is off: every weight is trained."""

    rank: int = 0
    alpha: float = 64.0
    """The product of the two matrices counts alpha / rank times; twice the rank is usual."""
    dropout: float = 0.0
    """Share of a layer's input features that its adapter does not see, in training."""
    targets: list[str] = field(default_factory=lambda: list(LAYERS))
    """Linear layers by the end of their name: `q_proj`, or `cross_attention.q_proj` for those alone."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = (
            [] if self.rank >= 0 else [f"lora.rank={self.rank} must be 0 (off) or more; usual are 8 to 128"]
        )
        if self.alpha <= 0:
            found.append(f"lora.alpha={self.alpha} must be above 0; usual is twice the rank")
        if not 0 <= self.dropout < 1:
            found.append(f"lora.dropout={self.dropout} is a share; choose 0 to below 1 (usual 0 to .1)")
        if unknown := [target for target in self.targets if target not in TARGETS]:
            found.append(f"lora.targets={unknown} are no layers; choose from {', '.join(TARGETS)}")
        return found if self.targets else [*found, f"lora.targets is empty; choose from {', '.join(TARGETS)}"]


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
