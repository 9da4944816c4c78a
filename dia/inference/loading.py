"""How a name becomes a network, its codec and its sampling values: what `Dia.from_pretrained` and `python -m
dia.bench` open.
"""

from enum import StrEnum

import torch

from dia.checkpoint import Checkpoint, load_checkpoint
from dia.checkpoint.adapter import load_adapter, merge_adapter
from dia.checkpoint.locate import resolve_checkpoint
from dia.codecs.protocol import Codec, require_codec
from dia.codecs.registry import load_codec
from dia.errors import UserError
from dia.inference import quantize
from dia.network import DiaNetwork

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class ComputeDtype(StrEnum):
    """Types to compute in, under the names that nari-labs/dia gives them."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


def open_checkpoint(
    name: str,
    compute_dtype: str | ComputeDtype,
    device: torch.device,
    cross_rope: bool | None,
    quantization: str | None,
    config_path: str | None,
    adapter: str | None = None,
) -> Checkpoint:
    """Open a checkpoint, merged with an adapter and quantized if asked: on a CPU while its weights still lie
    in the file, on a GPU it is quantized after they are there.

    Raises :class:`UserError` for an unknown type or kind, an adapter that does not fit, and as
    :func:`load_checkpoint` does.
    """
    if compute_dtype not in DTYPES:
        raise UserError(f"compute_dtype={compute_dtype!r} is unknown; choose one of {', '.join(DTYPES)}")
    early = quantization if device.type == "cpu" else None

    def before_placing(network: DiaNetwork) -> None:
        if adapter is not None:
            merge_adapter(network, load_adapter(adapter), f"the adapter {adapter}")
        if early:
            quantize(network, early)

    made = load_checkpoint(
        resolve_checkpoint(name), device, DTYPES[compute_dtype], cross_rope, before_placing, config_path
    )
    if quantization and not early:
        quantize(made.network, quantization)
    return made


def open_codec(checkpoint: Checkpoint, codec: str | None, name: str, device: torch.device) -> Codec:
    """Open the codec of a checkpoint, or the one named in its stead.

    Raises :class:`UserError` when there is none, it is not there, or it is not the one that the checkpoint
    was made with.
    """
    if checkpoint.codec is None and codec is None:
        raise UserError(
            f"{name} does not say which codec its codes are of; give one (dac_44khz for Dia-1.6B)"
        )
    opened = load_codec(codec or (checkpoint.codec.name if checkpoint.codec else ""), str(device))
    if checkpoint.codec and checkpoint.codec.fingerprint:
        require_codec(opened, checkpoint.codec.fingerprint, name)
    return opened
