"""The reference of preference training: the initial weights, as a frozen copy or as adapters switched off.

With LoRA the initial weights are in the network already, below its adapters, so that no copy is in memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dia.network import DiaNetwork
from dia.training.lora import LoraLinear
from dia.training.objectives.protocol import DelayedBatch
from dia.training.token_likelihood import token_log_probabilities


class ReferencePolicy:
    """Gives the log probabilities of the initial weights; ``copy`` None uses the network without adapters."""

    def __init__(self, copy: DiaNetwork | None) -> None:
        self.copy = None if copy is None else copy.requires_grad_(False).eval()

    @torch.no_grad()
    def token_log_probabilities(self, network: DiaNetwork, batch: DelayedBatch, piece: int) -> Tensor:
        """Return the log probabilities (B, T, C) of a batch, as
        :func:`~dia.training.token_likelihood.token_log_probabilities` does."""
        if self.copy is not None:
            self.copy = self.copy.to(batch.text_BS.device)
            return token_log_probabilities(self.copy, batch, piece)
        with adapters_disabled(network):
            return token_log_probabilities(network, batch, piece)


@contextmanager
def adapters_disabled(network: DiaNetwork) -> Iterator[None]:
    """Compute with the weights below the adapters. Raises ``ValueError`` for a network without adapters."""
    adapters = [module for module in network.modules() if isinstance(module, LoraLinear)]
    if not adapters:
        raise ValueError("the network has no adapters whose base could be the reference")
    for adapter in adapters:
        adapter.enabled = False
    try:
        yield
    finally:
        for adapter in adapters:
            adapter.enabled = True
