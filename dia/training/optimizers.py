"""Optimizers: AdamW, AdamW with 8-bit moments, and Muon for matrices with AdamW for the other weights.

8-bit moments are torchao's (Dettmers et al., arXiv 2110.02861): 2 bytes a weight instead of 8. Muon is
torch's (Jordan et al., kellerjordan.github.io/posts/muon), shared among processes, its updates scaled to the
size of AdamW's (Moonlight, arXiv 2502.16982), so that one learning rate suits both.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from dia.config.optimizer import OptimConfig
from dia.errors import UserError
from dia.training.shared_muon import SharedMuon

NamedWeights = list[tuple[str, nn.Parameter]]
WITHOUT_DECAY = ("embeddings", "norms")  # by default, because their magnitude carries information
MUON_GROUPS = ("matrices",)
HEAD_PREFIX = "logits_dense."


def build_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Return the optimizer of a module's trainable weights.

    Raises :class:`UserError` when a library that it needs is not installed.
    """
    return OPTIMIZERS[config.kind](list(module.named_parameters()), config)


def param_group(name: str, parameter: nn.Parameter) -> str:
    """Return the parameter group of a network's weight: one of ``PARAM_GROUPS`` (dia/config/optimizer.py)."""
    if ".lora_" in name:
        return "adapters"
    if parameter.ndim < 2:
        return "norms"
    if ".embed" in name:
        return "embeddings"
    return "head" if name.startswith(HEAD_PREFIX) else "matrices"


def weight_decay_of(group: str, weight_decay: float, by_group: Mapping[str, float]) -> float:
    """Return the weight decay of a parameter group: its own if given, none for norms and embeddings."""
    return by_group.get(group, 0.0 if group in WITHOUT_DECAY else weight_decay)


def parameter_groups(
    weights: Iterable[tuple[str, nn.Parameter]], config: OptimConfig
) -> list[dict[str, Any]]:
    """Return torch's groups of the trainable weights, one for each weight decay, the largest first."""
    by_decay: dict[float, list[nn.Parameter]] = {}
    for name, parameter in weights:
        if parameter.requires_grad:
            group = param_group(name, parameter)
            decay = weight_decay_of(group, config.weight_decay, config.weight_decay_by_group)
            by_decay.setdefault(decay, []).append(parameter)
    return [{"params": by_decay[decay], "weight_decay": decay} for decay in sorted(by_decay, reverse=True)]


class MuonAndAdamW(torch.optim.Optimizer):
    """Two optimizers in one that share state and groups; a group's ``by`` numbers its optimizer."""

    def __init__(self, muon: torch.optim.Muon, adamw: torch.optim.AdamW) -> None:
        self.parts: tuple[torch.optim.Optimizer, ...] = (muon, adamw)
        groups = [
            group | {"by": number} for number, part in enumerate(self.parts) for group in part.param_groups
        ]
        super().__init__(groups, {})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # torch overloads it
        """Run the closure, which computes the gradients, and step both optimizers."""
        loss = closure() if closure is not None else None
        for number, part in enumerate(self.parts):
            part.param_groups = [group for group in self.param_groups if group["by"] == number]
            part.state = self.state
            part.step()
        return loss


def adamw(weights: NamedWeights, config: OptimConfig) -> torch.optim.AdamW:
    """Return torch's fused AdamW."""
    optimizer = torch.optim.AdamW(
        parameter_groups(weights, config),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        fused=True,
    )
    # fp16's scale is removed before gradients are measured and clipped, not inside the step
    optimizer._step_supports_amp_scaling = False
    return optimizer


def adamw8bit(weights: NamedWeights, config: OptimConfig) -> torch.optim.Optimizer:
    """Return torchao's AdamW with 8-bit moments. Raises :class:`UserError` when torchao is not installed."""
    try:
        from torchao.optim import AdamW8bit
    except ImportError as error:
        raise UserError("optim=adamw8bit needs torchao: pip install 'dia-framework[quantization]'") from error
    optimizer: torch.optim.Optimizer = AdamW8bit(
        parameter_groups(weights, config), lr=config.learning_rate, betas=(config.beta1, config.beta2)
    )
    return optimizer


def muon(weights: NamedWeights, config: OptimConfig) -> torch.optim.Optimizer:
    """Return Muon for the layers' matrices, with AdamW for embeddings, norms, head and adapters."""
    trainable = [(name, weight) for name, weight in weights if weight.requires_grad]
    matrices = [(name, weight) for name, weight in trainable if param_group(name, weight) in MUON_GROUPS]
    others = [(name, weight) for name, weight in trainable if param_group(name, weight) not in MUON_GROUPS]
    if not matrices:
        return adamw(others, config)
    orthogonal = SharedMuon(
        parameter_groups(matrices, config),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    return MuonAndAdamW(orthogonal, adamw(others, config))


OPTIMIZERS: dict[str, Callable[[NamedWeights, OptimConfig], torch.optim.Optimizer]] = {
    "adamw": adamw,
    "adamw8bit": adamw8bit,
    "muon": muon,
}
