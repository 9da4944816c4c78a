"""What is kept of a forward pass for its gradient, and what is made again: memory against time.

`off` keeps what the layers' operations keep. `mlp` makes the inside of each feed-forward again: half of what
a layer keeps, for one of its largest products. `layers` keeps a layer's input only and makes the layer again:
least memory, a third more time.
"""

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from dia.network import DiaNetwork

RANDOM = (
    "dropout",
    "residual_dropout",
)  # by which modules say that they are: adapters, and parts (dia/training/residual_dropout.py)


def checkpoint_activations(network: DiaNetwork, mode: str) -> None:
    """Have parts of the network computed again for the gradient. Names of parameters stay as they are."""
    layers = [*network.encoder.layers, *network.decoder.layers]
    parts = {"off": [], "mlp": [layer.mlp for layer in layers], "layers": layers}[mode]
    for part in parts:
        _again(part, any(getattr(module, name, 0.0) > 0 for module in part.modules() for name in RANDOM))


def compile_layers(network: DiaNetwork, backend: str = "inductor") -> None:
    """Compile each layer, for clips of any length. Layers of a kind share their code, so it is made twice,
    not thirty times.
    """
    for layer in [*network.encoder.layers, *network.decoder.layers]:
        layer.compile(dynamic=True, backend=backend)


def _again(part: nn.Module, random: bool) -> None:
    """Unless it is ``random``, no random state has to be kept for the second time."""
    part.forward = partial(checkpoint, part.forward, use_reentrant=False, preserve_rng_state=random)
