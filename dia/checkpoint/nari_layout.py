"""The layout of nari-labs/dia: conversion of its config.json (two formats) and its tensors.

Its kernels are (in..., out...), the transpose of a linear layer's weights, with heads as axes of their own,
and nine embeddings are nine tensors (nari-labs/dia, `dia/layers.py` and `dia/config.py`). The first
generation of checkpoints has a nested config.json, 0626 a flat one that is close to that of transformers.
"""

import re
from collections.abc import Callable
from math import prod
from typing import Any

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


def is_nested(content: dict[str, Any]) -> bool:
    """Return whether a config.json has the format of the first generation."""
    return "model" in content and "data" in content


def from_nested_config(content: dict[str, Any]) -> DiaConfig:
    """Return the config in a nested config.json. Raises ``KeyError`` with the name of a missing key.

    Lengths are rounded up to a multiple of 128, as in nari's own reader. This generation rotates
    cross-attention.
    """
    model, data = content["model"], content["data"]
    encoder, decoder = model["encoder"], model["decoder"]
    return DiaConfig(
        encoder=EncoderConfig(
            layers=encoder["n_layer"],
            hidden_size=encoder["n_embd"],
            intermediate_size=encoder["n_hidden"],
            heads=encoder["n_head"],
            head_dim=encoder["head_dim"],
            vocab_size=model["src_vocab_size"],
            max_positions=_whole(data["text_length"]),
        ),
        decoder=DecoderConfig(
            layers=decoder["n_layer"],
            hidden_size=decoder["n_embd"],
            intermediate_size=decoder["n_hidden"],
            heads=decoder["gqa_query_heads"],
            key_value_heads=decoder["kv_heads"],
            head_dim=decoder["gqa_head_dim"],
            cross_heads=decoder["cross_query_heads"],
            cross_head_dim=decoder["cross_head_dim"],
            codebook_size=model["tgt_vocab_size"] - 4,
            max_positions=_whole(data["audio_length"]),
        ),
        delays=list(data.get("delay_pattern", DIA_DELAYS)),
        cross_rope=True,
        norm_epsilon=model.get("normalization_layer_epsilon", 1e-5),
        rope_theta=float(model.get("rope_max_timescale", 10_000)),
    )


def to_nested_config(config: DiaConfig) -> dict[str, Any]:
    """Return the content of a nested config.json."""
    encoder, decoder = config.encoder, config.decoder
    return {
        "version": "1.0",
        "model": {
            "encoder": {
                "n_layer": encoder.layers,
                "n_embd": encoder.hidden_size,
                "n_hidden": encoder.intermediate_size,
                "n_head": encoder.heads,
                "head_dim": encoder.head_dim,
            },
            "decoder": {
                "n_layer": decoder.layers,
                "n_embd": decoder.hidden_size,
                "n_hidden": decoder.intermediate_size,
                "gqa_query_heads": decoder.heads,
                "kv_heads": decoder.key_value_heads,
                "gqa_head_dim": decoder.head_dim,
                "cross_query_heads": decoder.cross_heads,
                "cross_head_dim": decoder.cross_head_dim,
            },
            "src_vocab_size": encoder.vocab_size,
            "tgt_vocab_size": decoder.vocab_size,
            "dropout": 0.0,
            "normalization_layer_epsilon": config.norm_epsilon,
            "weight_dtype": "float32",
            "rope_min_timescale": 1,
            "rope_max_timescale": int(config.rope_theta),
        },
        "training": {"dtype": "float32", "logits_dot_in_fp32": False},
        "data": {
            "text_length": encoder.max_positions,
            "audio_length": decoder.max_positions,
            "channels": config.channels,
            "text_pad_value": 0,
            "audio_eos_value": decoder.eos,
            "audio_pad_value": decoder.pad,
            "audio_bos_value": decoder.bos,
            "delay_pattern": list(config.delays),
        },
    }


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


def _whole(length: int) -> int:
    return (length + 127) // 128 * 128
