"""Residual dropout: dropout on the output of each attention and feed-forward block, in training only.

Vaswani et al. 2017, arXiv 1706.03762, section 5.4. Dia has none: its 1.6 B parameters saw their data once. A
small model that sees a few hours of data many times overfits without it (recipes/nano.md). It is a forward
hook on the last projection of each block, so parameter names stay the same.
"""

from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from dia.network import DiaNetwork

LAST_PROJECTION = {"self_attention": "o_proj", "cross_attention": "o_proj", "mlp": "down_proj"}


def add_residual_dropout(network: DiaNetwork, probability: float) -> None:
    """Add dropout to the output of every block of every layer, in place; 0 changes nothing."""
    if not probability:
        return
    for layer in [*network.encoder.layers, *network.decoder.layers]:
        for name, projection in LAST_PROJECTION.items():
            if (block := getattr(layer, name, None)) is not None:
                block.residual_dropout = probability  # read by dia/training/activation_checkpointing.py
                getattr(block, projection).register_forward_hook(partial(_dropout, probability))


def _dropout(probability: float, module: nn.Module, inputs: Any, out: Tensor) -> Tensor:
    return F.dropout(out, probability, module.training)
