"""Copies of a network, which objectives hold as teachers and references."""

import torch

from dia.network import DiaNetwork


def copy_of(network: DiaNetwork) -> DiaNetwork:
    """Return a copy of a network, also of fake tensors, whose mode ``deepcopy`` would copy too."""
    with torch.device("meta"):
        copy = DiaNetwork(network.config)
    copy.load_state_dict({name: tensor.clone() for name, tensor in network.state_dict().items()}, assign=True)
    return copy
