"""What training starts from, as the config says it: `init` names a checkpoint, and the shape of the model is
that checkpoint's.

`model=checkpoint` leaves the shape open (zero, empty); what a config says of it all the same must agree with
the checkpoint.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from dia.checkpoint import read_config
from dia.checkpoint.locate import resolve_checkpoint
from dia.codecs.registry import codec_path
from dia.codecs.spectral import read_config as read_codec_config
from dia.config.codec import SpectralCodecConfig
from dia.errors import UserError
from dia.network import DecoderConfig, DiaConfig, EncoderConfig

SHOWN = 5  # contradictions that are listed


def filled_shape(model: DiaConfig, init: str) -> DiaConfig:
    """Return a shape in which what ``model`` leaves open is that of the checkpoint ``init``.

    A checkpoint that cannot be read leaves the shape of Dia-1.6B: :func:`initial_problems` tells what is
    wrong with it. Raises :class:`UserError` when something is open and there is no checkpoint.
    """
    given = asdict(model)
    is_open = [key for key, value in _flat(given) if not value and key != "cross_rope"]
    if not is_open:
        return model
    if not init:
        raise UserError(
            "model=checkpoint takes its shape from a checkpoint, and init_from is empty; give init_from=PATH or a Hub id"
        )
    try:
        shape = asdict(read_config(resolve_checkpoint(init)))
    except UserError:
        shape = asdict(DiaConfig())
    # whether cross-attention is rotated cannot be left open: a shape that is open does not say that it is not
    for key in (*is_open, *(["cross_rope"] if not given["cross_rope"] else [])):
        before, _, last = key.rpartition(".")
        (given[before] if before else given)[last] = dict(_flat(shape))[key]
    return DiaConfig(
        **{
            **given,
            "encoder": EncoderConfig(**given["encoder"]),
            "decoder": DecoderConfig(**given["decoder"]),
        }
    )


def initial_problems(init: str, model: DiaConfig) -> list[str]:
    """Return what is wrong with a checkpoint to start from, and what of the model's shape contradicts it."""
    try:
        shape = dict(_flat(asdict(read_config(resolve_checkpoint(init)))))
    except UserError as error:
        return [f"init_from={init}: {error}"]
    wrong = [(key, value) for key, value in _flat(asdict(model)) if shape[key] != value]
    if not wrong:
        return []
    listed = ", ".join(f"model.{key}={value} (it has {shape[key]})" for key, value in wrong[:SHOWN])
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return [f"init_from={init} contradicts {listed}{more}; leave them out, and take model=checkpoint"]


def initial_codec_problems(codec: str, shape: SpectralCodecConfig) -> list[str]:
    """Return what is wrong with a spectral codec whose decoder is to learn on, and what of the asked shape
    contradicts it.
    """
    try:
        own = asdict(read_codec_config(codec_path(codec)))
    except UserError as error:
        return [f"codec_training.finetune_decoder_of={codec}: {error}"]
    return [
        f"codec_training.finetune_decoder_of={codec} has {key}={own[key]}, spectral.{key} is {value}; leave it out"
        for key, value in asdict(shape).items()
        if own[key] != value
    ]


def _flat(content: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The values by their dotted keys."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield before + key, value
