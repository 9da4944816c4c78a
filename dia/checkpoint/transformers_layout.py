"""The transformers layout: conversion of config keys and tensor names (transformers 5.23, `models/dia`).

Our submodules have transformers' names, so a tensor only gains or loses the prefix `model.` (the output layer
has none). Values that transformers does not know (`cross_rope`, the codec) lie under the key `dia`, which it
ignores.
"""

from typing import Any

from torch import Tensor

from dia.network import DecoderConfig, DiaConfig, EncoderConfig

PREFIX = "model."
HEAD = "logits_dense."
SAMPLING_NAMES = {
    "cfg_scale": "guidance_scale",
    "temperature": "temperature",
    "top_p": "top_p",
    "cfg_filter_top_k": "top_k",
}


def to_config_json(config: DiaConfig, extra: dict[str, Any]) -> dict[str, Any]:
    """Return the content of `config.json`; ``extra`` is added to ``cross_rope`` under the key `dia`."""
    encoder, decoder = config.encoder, config.decoder
    rope = {"rope_theta": config.rope_theta, "rope_type": "default"}
    return {
        "architectures": ["DiaForConditionalGeneration"],
        "model_type": "dia",
        "is_encoder_decoder": True,
        "dtype": "float32",
        "norm_eps": config.norm_epsilon,
        "delay_pattern": list(config.delays),
        "encoder_config": {
            "model_type": "dia_encoder",
            "num_hidden_layers": encoder.layers,
            "hidden_size": encoder.hidden_size,
            "intermediate_size": encoder.intermediate_size,
            "num_attention_heads": encoder.heads,
            "num_key_value_heads": encoder.heads,
            "head_dim": encoder.head_dim,
            "vocab_size": encoder.vocab_size,
            "max_position_embeddings": encoder.max_positions,
            "norm_eps": config.norm_epsilon,
            "rope_parameters": rope,
        },
        "decoder_config": {
            "model_type": "dia_decoder",
            "num_hidden_layers": decoder.layers,
            "hidden_size": decoder.hidden_size,
            "intermediate_size": decoder.intermediate_size,
            "num_attention_heads": decoder.heads,
            "num_key_value_heads": decoder.key_value_heads,
            "head_dim": decoder.head_dim,
            "cross_num_attention_heads": decoder.cross_heads,
            "cross_num_key_value_heads": decoder.cross_heads,
            "cross_head_dim": decoder.cross_head_dim,
            "cross_hidden_size": encoder.hidden_size,
            "num_channels": config.channels,
            "vocab_size": decoder.vocab_size,
            "max_position_embeddings": decoder.max_positions,
            "eos_token_id": decoder.eos,
            "pad_token_id": decoder.pad,
            "bos_token_id": decoder.bos,
            "norm_eps": config.norm_epsilon,
            "rope_parameters": rope,
        },
        "dia": {"cross_rope": config.cross_rope, **extra},
    }


def from_config_json(content: dict[str, Any]) -> DiaConfig:
    """Return the config in a `config.json`. Raises ``KeyError`` with the name of a missing key."""
    encoder, decoder = content["encoder_config"], content["decoder_config"]
    rope = decoder.get("rope_parameters") or {}
    return DiaConfig(
        encoder=EncoderConfig(
            layers=encoder["num_hidden_layers"],
            hidden_size=encoder["hidden_size"],
            intermediate_size=encoder["intermediate_size"],
            heads=encoder["num_attention_heads"],
            head_dim=encoder["head_dim"],
            vocab_size=encoder["vocab_size"],
            max_positions=encoder["max_position_embeddings"],
        ),
        decoder=DecoderConfig(
            layers=decoder["num_hidden_layers"],
            hidden_size=decoder["hidden_size"],
            intermediate_size=decoder["intermediate_size"],
            heads=decoder["num_attention_heads"],
            key_value_heads=decoder["num_key_value_heads"],
            head_dim=decoder["head_dim"],
            cross_heads=decoder["cross_num_attention_heads"],
            cross_head_dim=decoder["cross_head_dim"],
            codebook_size=decoder["vocab_size"] - 4,
            max_positions=decoder["max_position_embeddings"],
        ),
        delays=list(content["delay_pattern"]),
        cross_rope=bool(content.get("dia", {}).get("cross_rope", False)),
        norm_epsilon=decoder.get("norm_eps", 1e-5),
        rope_theta=float(rope.get("rope_theta", decoder.get("rope_theta", 10_000.0))),
    )


def to_tensors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict under transformers' names."""
    return {
        name if name.startswith(HEAD) else PREFIX + name: tensor.contiguous()
        for name, tensor in state.items()
    }


def from_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of transformers under our names."""
    return {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}


def sampling_of(content: dict[str, Any]) -> dict[str, Any]:
    """Return the sampling values in a `generation_config.json` under our names."""
    values = {ours: content[theirs] for ours, theirs in SAMPLING_NAMES.items() if theirs in content}
    if "cfg_scale" in values:
        values["cfg_scale"] = values["cfg_scale"] or 0.0  # null turns guidance off
    return values


def generation_config(config: DiaConfig, sampling: dict[str, Any]) -> dict[str, Any]:
    """Return the content of `generation_config.json`.

    ``sampling`` has the keys cfg_scale, temperature, top_p and cfg_filter_top_k.
    """
    return {
        "do_sample": True,
        **{theirs: sampling[ours] for ours, theirs in SAMPLING_NAMES.items()},
        "guidance_scale": sampling["cfg_scale"] or None,  # null turns guidance off in transformers
        "max_length": config.decoder.max_positions,
        "eos_token_id": config.decoder.eos,
        "pad_token_id": config.decoder.pad,
        "decoder_start_token_id": config.decoder.bos,
        "bos_token_id": config.decoder.bos,
        "use_cache": True,
    }
