"""The formats of a checkpoint's config.json: flat (transformers, nari 0626) and nested (nari's release).

Values that the others do not know (`cross_rope`, the codec) lie under the key `dia`, which they ignore.
"""

from typing import Any

from dia.config.model import DIA_DELAYS, DecoderConfig, DiaConfig, EncoderConfig


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


def _whole(length: int) -> int:
    return (length + 127) // 128 * 128
