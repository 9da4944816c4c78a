"""The tensors of nari-labs/dia: conversion of their names and shapes, and the network's shape from them.

Its kernels are (in..., out...), the transpose of a linear layer's weights, with heads as axes of their own,
and nine embeddings are nine tensors (nari-labs/dia, `dia/layers.py`). config.json is in
:mod:`dia.config.config_json`.
"""

import re
from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from dia.config.model import DIA_DELAYS
from dia.network import DecoderConfig, DiaConfig, EncoderConfig

NAMES = {"mlp.gate_up_proj.weight": "mlp.wi_fused.weight", "mlp.down_proj.weight": "mlp.wo.weight"}
HEAD, NARI_HEAD = "logits_dense.weight", "decoder.logits_dense.weight"
EMBEDDINGS = "decoder.embeddings.embed.weight"
NARI_EMBEDDING = re.compile(r"decoder\.embeddings\.(\d+)\.weight")


def from_nari_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of nari under our names and in our shapes, in the same type.

    Unknown tensors keep their names; the caller refuses them.
    """
    ours: dict[str, Tensor] = {}
    embeddings: dict[int, Tensor] = {}
    theirs_to_ours = {theirs: name for name, theirs in NAMES.items()}
    for name, tensor in tensors.items():
        if match := NARI_EMBEDDING.fullmatch(name):
            embeddings[int(match[1])] = tensor
        elif name == NARI_HEAD:
            ours[HEAD] = _linear(tensor, 1)
        else:
            new_name = next(
                (
                    name.removesuffix(end) + ours_end
                    for end, ours_end in theirs_to_ours.items()
                    if name.endswith(end)
                ),
                name,
            )
            ours[new_name] = (
                _linear(tensor, tensor.ndim - 1 if name.endswith("o_proj.weight") else 1)
                if _is_dense(name)
                else tensor
            )
    if embeddings:  # sorted by number: a file may hold them in any order
        ours[EMBEDDINGS] = torch.cat([embeddings[number] for number in sorted(embeddings)])
    return ours


def to_nari_tensors(state: dict[str, Tensor], config: DiaConfig) -> dict[str, Tensor]:
    """Return our tensors under nari's names and in nari's shapes, in the same type."""
    theirs: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name == EMBEDDINGS:
            parts = tensor.chunk(config.channels)
            theirs |= {
                f"decoder.embeddings.{number}.weight": part.contiguous() for number, part in enumerate(parts)
            }
        elif name == HEAD:
            theirs[NARI_HEAD] = _kernel(
                tensor, (config.decoder.hidden_size,), (config.channels, config.decoder.vocab_size)
            )
        else:
            new_name = next(
                (name.removesuffix(end) + nari_end for end, nari_end in NAMES.items() if name.endswith(end)),
                name,
            )
            theirs[new_name] = (
                _kernel(tensor, *_kernel_axes(name, config)) if _is_dense(new_name) else tensor.contiguous()
            )
    return theirs


def _is_dense(name: str) -> bool:
    return name.endswith(("_proj.weight", "mlp.wi_fused.weight", "mlp.wo.weight"))


def _linear(kernel: Tensor, inputs: int) -> Tensor:
    """Return a linear layer's weight (out, in) of a kernel whose first ``inputs`` axes are its input."""
    return kernel.reshape(prod(kernel.shape[:inputs]), -1).T.contiguous()


def _kernel(weight: Tensor, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Tensor:
    """Return the kernel (in..., out...) of a linear layer's weight (out, in)."""
    return weight.T.reshape(*inputs, *outputs).contiguous()


def _kernel_axes(name: str, config: DiaConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the input and output axes of the kernel of our tensor ``name``."""
    in_encoder = name.startswith("encoder.")
    size: EncoderConfig | DecoderConfig = config.encoder if in_encoder else config.decoder
    if name.endswith("gate_up_proj.weight"):
        return (size.hidden_size,), (2, size.intermediate_size)
    if name.endswith("down_proj.weight"):
        return (size.intermediate_size,), (size.hidden_size,)
    heads, memory_heads, head_dim, memory_width = _attention_sizes(name, config)
    if name.endswith("o_proj.weight"):
        return (heads, head_dim), (size.hidden_size,)
    if name.endswith("q_proj.weight"):
        return (size.hidden_size,), (heads, head_dim)
    return (memory_width,), (memory_heads, head_dim)


def _attention_sizes(name: str, config: DiaConfig) -> tuple[int, int, int, int]:
    """Return heads, key-value heads, head width and the width of what is attended to."""
    encoder, decoder = config.encoder, config.decoder
    if name.startswith("encoder."):
        return encoder.heads, encoder.heads, encoder.head_dim, encoder.hidden_size
    if ".cross_attention." in name:
        return decoder.cross_heads, decoder.cross_heads, decoder.cross_head_dim, encoder.hidden_size
    return decoder.heads, decoder.key_value_heads, decoder.head_dim, decoder.hidden_size


def config_of_nari_tensors(tensors: dict[str, Tensor]) -> DiaConfig:
    """Return the config that follows from the shapes of nari's tensors, for `.pth` files without config.json.

    Lengths and delays are those of Dia-1.6B. Raises ``KeyError`` with the name of a missing tensor.
    """
    query = tensors["encoder.layers.0.self_attention.q_proj.weight"].shape
    own, cross = (
        tensors[f"decoder.layers.0.{kind}_attention.q_proj.weight"].shape for kind in ("self", "cross")
    )
    vocabulary, width = tensors["encoder.embedding.weight"].shape
    return DiaConfig(
        encoder=EncoderConfig(
            layers=_layers(tensors, "encoder"),
            hidden_size=width,
            intermediate_size=tensors["encoder.layers.0.mlp.wi_fused.weight"].shape[2],
            heads=query[1],
            head_dim=query[2],
            vocab_size=vocabulary,
        ),
        decoder=DecoderConfig(
            layers=_layers(tensors, "decoder"),
            hidden_size=own[0],
            intermediate_size=tensors["decoder.layers.0.mlp.wi_fused.weight"].shape[2],
            heads=own[1],
            key_value_heads=tensors["decoder.layers.0.self_attention.k_proj.weight"].shape[1],
            head_dim=own[2],
            cross_heads=cross[1],
            cross_head_dim=cross[2],
            codebook_size=tensors[NARI_HEAD].shape[2] - 4,
        ),
        delays=list(DIA_DELAYS[: tensors[NARI_HEAD].shape[1]]),
        cross_rope=True,
    )


def _layers(tensors: dict[str, Tensor], part: str) -> int:
    numbered: Callable[[str], re.Match[str] | None] = re.compile(rf"{part}\.layers\.(\d+)\.").match
    return 1 + max(int(match[1]) for match in map(numbered, tensors) if match)
