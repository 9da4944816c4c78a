"""Statistics of the model that a run trains, without allocating it: weights, optimizer states, teachers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from dia.config.choices import TrainingData
from dia.config.lora import LoraConfig
from dia.config.trainer import FIRST_CHANNEL_WEIGHT
from dia.network import DiaConfig, DiaNetwork
from dia.planning.memory_tracer import Build, FakeBatch, TraceTarget
from dia.training.activation_checkpointing import checkpoint_activations
from dia.training.lora import add_adapters
from dia.training.loss import channel_weights
from dia.training.objectives import Objective
from dia.training.objectives.cross_entropy import CrossEntropy
from dia.training.optimizers import MUON_GROUPS, param_group
from dia.training.residual_dropout import add_residual_dropout

FP32_BYTES = 4
BLOCK_SIZE = 256  # weights that share a scale in torchao's 8-bit moments
MIN_8BIT_SIZE = 4096  # torchao stores the moments of smaller tensors in fp32
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
"""Parts of a network, each with a pattern of weight names; the first match counts."""


@dataclass(frozen=True)
class ModelStats:
    """A network's shape, adapters (rank 0: none) and residual dropout, and how its objective is created.

    ``objective`` gets the network without adapters, as :meth:`Objective.from_config` does.
    """

    model: DiaConfig
    lora: LoraConfig
    objective: Callable[[DiaNetwork], Objective] = lambda network: CrossEntropy()
    dropout: float = 0.0

    @cached_property
    def network(self) -> DiaNetwork:
        """The network on torch's meta device."""
        return self._on_meta[0]

    @property
    def frozen(self) -> bool:
        """Whether only adapters are trained."""
        return self.lora.rank > 0

    @cached_property
    def by_part(self) -> dict[str, int]:
        """The number of weights by part of the network."""
        counts = dict.fromkeys(PARTS, 0)
        for name, parameter in self.network.named_parameters():
            part = next(part for part, pattern in PARTS.items() if re.search(pattern, name))
            counts[part] += parameter.numel()
        return {part: count for part, count in counts.items() if count}

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
        """The number of weights of the objective's teachers."""
        return sum(count_of(teacher) for teacher in self._on_meta[1].teachers)

    @property
    def teacher_passes(self) -> int:
        """The number of forward passes of the teachers for each batch."""
        return self._on_meta[1].teacher_passes

    @property
    def clips_per_sample(self) -> int:
        """The number of clips of a sample: pairs have two."""
        return 2 if self._on_meta[1].reads is TrainingData.pairs else 1

    def state_bytes(self, optimizer: str) -> float:
        """Return the bytes of an optimizer's states for all trained weights."""
        bytes_of = STATE_BYTES[optimizer]
        weights = [(name, weight) for name, weight in self.network.named_parameters() if weight.requires_grad]
        return sum(bytes_of(param_group(name, weight), weight.numel()) for name, weight in weights)

    def build(self, activations: str) -> Build:
        """Return a function that builds the network and its loss at any depth for a trace."""

        def build_for_trace(config: DiaConfig) -> tuple[DiaNetwork, TraceTarget]:
            network, objective = self._create(config)
            add_residual_dropout(network, self.dropout)
            checkpoint_activations(network, activations)
            return network, TraceTarget(weighted_loss_of(objective), objective.teachers)

        return build_for_trace

    @cached_property
    def _on_meta(self) -> tuple[DiaNetwork, Objective]:
        with torch.device("meta"):
            return self._create(self.model)

    def _create(self, config: DiaConfig) -> tuple[DiaNetwork, Objective]:
        network = DiaNetwork(config)
        objective = self.objective(network)
        if self.lora.rank:
            add_adapters(network, self.lora)
        return network, objective


def weighted_loss_of(objective: Objective) -> Callable[[DiaNetwork, FakeBatch], Tensor]:
    """Return the scalar whose gradient a step computes (dia/training/dia_module.py)."""

    def loss(network: DiaNetwork, batch: FakeBatch) -> Tensor:
        weights_C = channel_weights(network.config.channels, FIRST_CHANNEL_WEIGHT)
        return objective(network, batch).total(weights_C)

    return loss


def _adamw_bytes(group: str, count: int) -> float:
    """Two moments in fp32."""
    return 2.0 * FP32_BYTES * count


def _adamw8bit_bytes(group: str, count: int) -> float:
    """Two moments in 8 bits with a scale for each block, or in fp32 for small tensors."""
    if count >= MIN_8BIT_SIZE and count % BLOCK_SIZE == 0:
        return count * (2 + 2 * FP32_BYTES / BLOCK_SIZE)
    return _adamw_bytes(group, count)


def _muon_bytes(group: str, count: int) -> float:
    """One moment in fp32 for matrices; AdamW's two for the other weights."""
    return float(FP32_BYTES * count) if group in MUON_GROUPS else _adamw_bytes(group, count)


STATE_BYTES: dict[str, Callable[[str, int], float]] = {
    "adamw": _adamw_bytes,
    "adamw8bit": _adamw8bit_bytes,
    "muon": _muon_bytes,
}
"""Bytes of an optimizer's states by parameter group (dia/training/optimizers.py) and number of weights."""


def count_of(module: nn.Module) -> int:
    """Return the number of weights of a module."""
    return sum(parameter.numel() for parameter in module.parameters())
