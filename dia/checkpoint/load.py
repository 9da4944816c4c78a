"""Open checkpoints of any layout, and check their weights."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dia.checkpoint.codec import CodecReference, codec_reference
from dia.checkpoint.hub import Selection
from dia.checkpoint.names import CODEC_BESIDE, CONFIG
from dia.checkpoint.source import Source, read_source
from dia.dialogue.vocabulary import Vocabulary
from dia.errors import UserError
from dia.network import DiaNetwork
from dia.tensor_files import is_finite, not_finite

SHOWN = 5  # number of problems that a message lists


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint.

    Attributes:
        network: The network in eval mode.
        codec: The codec that it was trained with; None when unknown.
        sampling: Sampling values by name.
        vocabulary: The words that it was trained on; None for an open vocabulary.
    """

    network: DiaNetwork
    codec: CodecReference | None
    sampling: dict[str, Any]
    vocabulary: Vocabulary | None


def load_checkpoint(
    path: str | Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    cross_rope: bool | None = None,
    before_placing: Callable[[DiaNetwork], None] | None = None,
    config_path: str | Path | None = None,
    selection: Selection = Selection(),
) -> Checkpoint:
    """Open a checkpoint of any layout.

    Args:
        path: A folder, a weights file, or a Hub id.
        device: Device of the network.
        dtype: Type of the weights; norms stay in fp32.
        cross_rope: Overrides the generation that follows from the config.
        before_placing: Is called with the network while its weights are memory-mapped and of their own type,
            for example to quantize them without ever holding them in memory in full.
        config_path: A config.json that does not lie beside the weights.
        selection: The weights file of several; revision and access token of the Hub.

    Raises:
        UserError: When files are missing, damaged, or of another architecture.
    """
    source = read_source(path, cross_rope, config_path, selection)
    network, codec, sampling = network_of(source), codec_of(source), source.sampling
    vocabulary = source.vocabulary
    del source  # it holds every tensor
    if before_placing is not None:
        before_placing(network)
    return Checkpoint(place_weights(network, device, dtype).eval(), codec, sampling, vocabulary)


def place_weights(network: DiaNetwork, device: str | torch.device, dtype: torch.dtype) -> DiaNetwork:
    """Move a network's weights to a device and a type, in place; norms become fp32."""
    for name, parameter in network.named_parameters():
        parameter.data = parameter.data.to(device, torch.float32 if "norm" in name else dtype)
        if dtype is torch.float16 and not is_finite(parameter):
            raise UserError(
                f"{name} has values beyond those of float16; choose compute_dtype=bfloat16 or float32"
            )
    return network


def network_of(source: Source) -> DiaNetwork:
    """Return the network of a source with its weights in their own types.

    Raises:
        UserError: For weights that do not fit the config, or that are not finite.
    """
    try:
        with torch.device("meta"):
            network = DiaNetwork(source.config)
    except ValueError as error:
        raise UserError(f"{source.located.path}: {error}") from error
    if problems := shape_problems(network, source.tensors):
        raise UserError(
            f"the weights in {source.located.path} do not fit its config: {_shown(problems)}; copy it again"
        )
    if problems := not_finite(source.tensors):
        raise UserError(
            f"the weights in {source.located.path} cannot be used: {_shown(problems)}; take a "
            "checkpoint from before "
            "its training diverged"
        )
    network.load_state_dict(source.tensors, assign=True)
    return network


def _shown(problems: list[str]) -> str:
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return "; ".join(problems[:SHOWN]) + more


def shape_problems(network: DiaNetwork, tensors: dict[str, Tensor]) -> list[str]:
    """Return which tensors are missing, unknown, of another shape than the network's, or no numbers."""
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    stored = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    problems = [f"{name} is missing" for name in sorted(expected.keys() - stored.keys())]
    problems += [f"{name} is unknown" for name in sorted(stored.keys() - expected.keys())]
    problems += [
        f"{name} is {stored[name]}, its config requires {expected[name]}"
        for name in sorted(expected.keys() & stored.keys())
        if expected[name] != stored[name]
    ]
    return problems + [
        f"{name} has the type {tensors[name].dtype}, not a floating-point one"
        for name in sorted(expected.keys() & stored.keys())
        if not tensors[name].is_floating_point()
    ]


def codec_of(source: Source) -> CodecReference | None:
    """Return the codec of a source (:func:`dia.checkpoint.codec.codec_reference`).

    The name ``codec`` is that of the folder `codec` beside the config, where there is one.
    """
    reference, config = codec_reference(source.config, source.extra), source.located.config
    if reference is None or reference.name != CODEC_BESIDE or config is None:
        return reference
    beside = config.parent / CODEC_BESIDE
    return replace(reference, name=str(beside)) if (beside / CONFIG).is_file() else reference
