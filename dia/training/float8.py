"""Matrix products of training in 8-bit floating point, by torchao.

Weights, activations and gradients are rounded to fp8 (e4m3, gradients e5m2) with a scale per tensor before
each of the three products of a linear layer; weights and optimizer stay as they are. The head stays in the
run's precision: its outputs are logits.
"""

import torch
from torch import nn

from dia.errors import UserError
from dia.network import DiaNetwork

MULTIPLE = 16  # the fp8 product of torch requires sizes that are multiples of it
CAPABILITY = (8, 9)  # the first GPUs with fp8 units: Ada Lovelace
HEAD = "logits_dense"


def use_float8(network: DiaNetwork, emulate: bool = False) -> None:
    """Replace the linear layers of a network's blocks by torchao's, in place; names of weights stay.

    ``emulate`` rounds to fp8 and multiplies in the precision of the input, on any device. Raises
    :class:`UserError` when torchao is missing, and without ``emulate`` for a device without fp8 products.
    """
    if not emulate and not has_float8():
        raise UserError(
            "trainer.float8 needs a GPU with fp8 products (compute capability 8.9 or above: Ada Lovelace, "
            "Hopper and later); leave it out"
        )
    try:
        from torchao.float8 import Float8LinearConfig, convert_to_float8_training
    except ImportError as error:
        raise UserError(
            "trainer.float8 needs torchao; install it: pip install 'dia-framework[quantization]'"
        ) from error
    config = Float8LinearConfig(emulate=emulate, pad_inner_dim=True)
    convert_to_float8_training(network, config=config, module_filter_fn=_takes_float8)


def has_float8() -> bool:
    """Return whether this machine has a GPU with fp8 products."""
    return torch.cuda.is_available() and torch.cuda.get_device_capability() >= CAPABILITY


def _takes_float8(module: nn.Module, name: str) -> bool:
    """Return whether a module is a linear layer of a block whose sizes an fp8 product takes."""
    if not isinstance(module, nn.Linear) or name.endswith(HEAD):
        return False
    return not (module.in_features % MULTIPLE or module.out_features % MULTIPLE)
