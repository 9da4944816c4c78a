"""Activation checkpointing and per-layer compilation of a Dia network.

`off` stores the activations that autograd needs. `mlp` recomputes the inside of each feed-forward block: half
of a layer's activations, for one of its largest products. `layers` stores each layer's input only: least
memory, one third more time.
"""

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from dia.network import DiaNetwork

# attributes that mark modules with dropout: adapters, and blocks of dia/training/residual_dropout.py
DROPOUT_ATTRIBUTES = ("dropout", "residual_dropout")


def checkpoint_activations(network: DiaNetwork, mode: str) -> None:
    """Recompute activations of the network in the backward pass, in place; parameter names stay the same."""
    layers = [*network.encoder.layers, *network.decoder.layers]
    blocks = {"off": [], "mlp": [layer.mlp for layer in layers], "layers": layers}[mode]
    for block in blocks:
        block.forward = partial(
            checkpoint, block.forward, use_reentrant=False, preserve_rng_state=_has_dropout(block)
        )


def compile_layers(network: DiaNetwork, backend: str = "inductor") -> None:
    """Compile each layer for clips of any length.

    Layers of one kind share their code, so two graphs are compiled instead of thirty.
    """
    for layer in [*network.encoder.layers, *network.decoder.layers]:
        layer.compile(dynamic=True, backend=backend)


def _has_dropout(block: nn.Module) -> bool:
    """Whether the recomputation draws random numbers; else the RNG state need not be saved."""
    return any(getattr(module, name, 0.0) > 0 for module in block.modules() for name in DROPOUT_ATTRIBUTES)
