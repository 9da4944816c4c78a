"""Dropout on what each part of a layer adds (Vaswani et al. 2017, arXiv 1706.03762, section 5.4), in training
only.

Dia has none: 1.6 B parameters saw their data once. A small model that sees its few hours many times learns
them by heart without it (recipes/nano.md). It hangs on the last product of each part, so no name of a weight
changes.
"""

from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from dia.network import DiaNetwork

LAST = {"self_attention": "o_proj", "cross_attention": "o_proj", "mlp": "down_proj"}


def drop_residuals(network: DiaNetwork, share: float) -> None:
    """Have every part of every layer lose a ``share`` of its output's features in training; 0 leaves the
    network as it is.
    """
    if not share:
        return
    for layer in [*network.encoder.layers, *network.decoder.layers]:
        for name, last in LAST.items():
            if (part := getattr(layer, name, None)) is not None:
                part.residual_dropout = (
                    share  # by which dia/training/activation_checkpointing.py knows that it is random
                )
                getattr(part, last).register_forward_hook(partial(_drop, share))


def _drop(share: float, module: nn.Module, inputs: Any, out: Tensor) -> Tensor:
    return F.dropout(out, share, module.training)
