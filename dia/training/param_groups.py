"""Kinds of weights, and how much each decays: matrices do, norms and embeddings do not, unless a recipe says
so.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

STILL = ("embeddings", "norms")  # without decay by default: their size has a meaning of its own
HEAD = "logits_dense."


def group_of(name: str, parameter: nn.Parameter) -> str:
    """Return the kind of a network's weight, by its name and number of axes."""
    if ".lora_" in name:
        return "adapters"
    if parameter.ndim < 2:
        return "norms"
    if ".embed" in name:
        return "embeddings"
    return "head" if name.startswith(HEAD) else "matrices"


def group_decay(group: str, weight_decay: float, changed: Mapping[str, float]) -> float:
    """Return a kind's weight decay: what ``changed`` says of it, else none for norms and embeddings."""
    return changed.get(group, 0.0 if group in STILL else weight_decay)


def parameter_groups(
    parameters: Iterable[tuple[str, nn.Parameter]], weight_decay: float, changed: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return an optimizer's groups of the weights that are trained, one for each decay, the strongest
    first.
    """
    by_decay: dict[float, list[nn.Parameter]] = {}
    for name, parameter in parameters:
        if parameter.requires_grad:
            decay = group_decay(group_of(name, parameter), weight_decay, changed)
            by_decay.setdefault(decay, []).append(parameter)
    return [{"params": by_decay[decay], "weight_decay": decay} for decay in sorted(by_decay, reverse=True)]
