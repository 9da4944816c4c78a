"""The transformers layout: tensor names and sampling values (transformers 5.23, `models/dia`).

Our submodules have transformers' names, so a tensor only gains or loses the prefix `model.` (the output layer
has none). config.json is in :mod:`dia.config.config_json`.
"""

from typing import Any

from torch import Tensor

from dia.config.sampling import Sampling
from dia.errors import UserError
from dia.network import DiaConfig

PREFIX = "model."
HEAD = "logits_dense."
SAMPLING_NAMES = {
    "cfg_scale": "guidance_scale",
    "temperature": "temperature",
    "top_p": "top_p",
    "cfg_filter_top_k": "top_k",
}


def require_transformers_generation(config: DiaConfig, owner: str) -> None:
    """Raise :class:`UserError` for a network that transformers would open and run wrongly.

    The first generation of Dia-1.6B applies rotary positions to cross-attention; transformers' Dia has none
    there. The tensors have the same names and shapes, so that nothing would fail.
    """
    if config.cross_rope:
        raise UserError(
            f"{owner} is of the first generation of Dia: its cross-attention has rotary positions, and that "
            "of transformers' Dia has none, so that it would open there and speak wrongly. Open it with this "
            "package, convert it with to=nari, or take a checkpoint of the generation 0626"
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
    if content.get("do_sample") is False:
        values["temperature"] = 0.0
    return values


def generation_config(config: DiaConfig, sampling: dict[str, Any]) -> dict[str, Any]:
    """Return the content of `generation_config.json`.

    ``sampling`` has the keys cfg_scale, temperature, top_p and cfg_filter_top_k. A temperature of 0 becomes
    greedy decoding.
    """
    greedy = sampling["temperature"] == 0
    return {
        "do_sample": not greedy,
        **{theirs: sampling[ours] for ours, theirs in SAMPLING_NAMES.items()},
        "temperature": 1.0 if greedy else sampling["temperature"],
        "guidance_scale": sampling["cfg_scale"] or None,  # null turns guidance off in transformers
        "max_length": config.decoder.max_positions,
        "eos_token_id": config.decoder.eos,
        "pad_token_id": config.decoder.pad,
        "decoder_start_token_id": config.decoder.bos,
        "bos_token_id": config.decoder.bos,
        "use_cache": True,
    }


def extra_sampling(sampling: dict[str, Any]) -> dict[str, Any]:
    """Return the values that `generation_config.json` cannot hold and that differ from their defaults."""
    return {
        name: sampling[name]
        for name, default in vars(Sampling()).items()
        if name not in SAMPLING_NAMES and sampling.get(name, default) != default
    }


def unsupported_sampling(sampling: dict[str, Any]) -> list[str]:
    """Return the sampling values that transformers' Dia changes or ignores, one sentence each."""
    sentences = []
    if 0 < sampling["temperature"] < 1:
        sentences.append(f"`temperature={sampling['temperature']}`: transformers raises it to 1.")
    if 0 < sampling["cfg_scale"] <= 1:
        sentences.append(f"`cfg_scale={sampling['cfg_scale']}`: transformers requires a scale above 1.")
    if sampling["cfg_filter_top_k"] is None:
        sentences.append("`cfg_filter_top_k=null`: transformers filters by its own default of `top_k`.")
    return sentences + [
        f"`{name}={value}`: transformers has no such value and ignores it."
        for name, value in extra_sampling(sampling).items()
    ]
