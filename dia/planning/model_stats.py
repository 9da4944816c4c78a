"""What a run trains, as a plan needs it: the network with its adapters, what it is asked for, its weights by
part, the bytes of its optimizer's states. Nothing here is allocated.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from dia.config.lora import LoraConfig
from dia.config.trainer import FIRST_CHANNEL_WEIGHT
from dia.inference import Sampling
from dia.network import DiaConfig, DiaNetwork
from dia.planning.memory_tracer import Asked, Build, FakeBatch
from dia.training.activation_checkpointing import checkpoint_activations
from dia.training.distillation import GuidedDistillation
from dia.training.lora import add_adapters
from dia.training.loss import channel_weights
from dia.training.objectives import CrossEntropy, Objective
from dia.training.optimizers import ORTHOGONAL
from dia.training.param_groups import group_of
from dia.training.residual_dropout import add_residual_dropout

FP32 = 4  # bytes
BLOCK, SMALLEST = (
    256,
    4096,
)  # weights that share a scale in torchao's 8-bit moments; tensors of fewer keep theirs in fp32
PARTS = {
    "adapters": r"\.lora_[AB]$",
    "text encoder": r"^encoder\.",
    "decoder self-attention": r"\.self_attention\.",
    "decoder cross-attention": r"\.cross_attention\.",
    "decoder feed-forward": r"\.mlp\.",
    "code embeddings": r"\.embeddings\.",
    "head": r"^logits_dense\.",
    "decoder norms": r"norm\.",
}
"""Parts of a network, each with what the names of its weights match; the first that does counts."""


@dataclass(frozen=True)
class Trained:
    """A network's shape, its adapters (rank 0: all weights are trained), whether it is distilled into, and
    its dropout.
    """

    model: DiaConfig
    lora: LoraConfig
    distilled: bool = False
    dropout: float = 0.0

    @cached_property
    def network(self) -> DiaNetwork:
        """The network, without any contents."""
        with torch.device("meta"):
            return self._made(self.model)

    @property
    def frozen(self) -> bool:
        """Whether only adapters are trained."""
        return self.lora.rank > 0

    @cached_property
    def by_part(self) -> dict[str, int]:
        """The number of weights by part of the network."""
        found = dict.fromkeys(PARTS, 0)
        for name, parameter in self.network.named_parameters():
            found[next(part for part, pattern in PARTS.items() if re.search(pattern, name))] += (
                parameter.numel()
            )
        return {part: count for part, count in found.items() if count}

    @cached_property
    def count(self) -> int:
        """The number of weights."""
        return sum(self.by_part.values())

    @cached_property
    def trained_count(self) -> int:
        """The number of weights that are trained."""
        return sum(parameter.numel() for parameter in self.network.parameters() if parameter.requires_grad)

    @cached_property
    def teacher_count(self) -> int:
        """The number of weights of the teacher, 0 without one."""
        return self.count - self.by_part.get("adapters", 0) if self.distilled else 0

    def state_bytes(self, optimizer: str) -> float:
        """Return the bytes of an optimizer's states for all trained weights."""
        each = STATES[optimizer]
        named = [(name, weight) for name, weight in self.network.named_parameters() if weight.requires_grad]
        return sum(each(group_of(name, weight), weight.numel()) for name, weight in named)

    def build(self, activations: str) -> Build:
        """Return what makes such a network of any depth, keeping ``activations``, for a trace."""

        def made(config: DiaConfig) -> tuple[DiaNetwork, Asked]:
            network = self._made(config)
            add_residual_dropout(network, self.dropout)
            checkpoint_activations(network, activations)
            teacher = DiaNetwork(config) if self.distilled else None
            objective = CrossEntropy() if teacher is None else GuidedDistillation(teacher, Sampling())
            return network, Asked(weighted(objective), () if teacher is None else (teacher,))

        return made

    def _made(self, config: DiaConfig) -> DiaNetwork:
        network = DiaNetwork(config)
        if self.lora.rank:
            add_adapters(network, self.lora)
        return network


def weighted(objective: Objective) -> Callable[[DiaNetwork, FakeBatch], Tensor]:
    """Return what a step takes the gradient of (dia/training/dia_module.py)."""

    def loss(network: DiaNetwork, batch: FakeBatch) -> Tensor:
        return (
            channel_weights(network.config.channels, FIRST_CHANNEL_WEIGHT)
            * objective(network, batch).cross_entropy_C
        ).sum()

    return loss


def _eight_bits(group: str, count: int) -> float:
    return count * (2 + 2 * FP32 / BLOCK) if count >= SMALLEST and count % BLOCK == 0 else 2.0 * FP32 * count


STATES: dict[str, Callable[[str, int], float]] = {
    "adamw": lambda group, count: 2.0 * FP32 * count,
    "adamw8bit": _eight_bits,
    "muon": lambda group, count: (FP32 if group in ORTHOGONAL else 2.0 * FP32) * count,
}
"""Bytes of states by optimizer, for so many weights of a kind (dia/training/param_groups.py): AdamW's two
moments, in fp32 or, for tensors that are large enough, in 8 bits with a scale for each block; one of Muon's
for matrices.
"""


def count_of(module: nn.Module) -> int:
    """Return the number of weights of a module."""
    return sum(parameter.numel() for parameter in module.parameters())
