"""Open a checkpoint by name with its codec, adapter and quantization, for `Dia` and the benchmark."""

from enum import StrEnum

import torch

from dia.checkpoint import Checkpoint, load_checkpoint
from dia.checkpoint.adapter import load_adapter, merge_adapter
from dia.checkpoint.locate import resolve_checkpoint
from dia.codecs.protocol import Codec, require_codec
from dia.codecs.registry import load_codec
from dia.errors import UserError
from dia.inference.quantization import quantize
from dia.network import DiaNetwork

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class ComputeDtype(StrEnum):
    """Data types to compute in, under the names of nari-labs/dia."""

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
    """Open a checkpoint, merge an adapter into its weights and quantize it, as requested.

    On a CPU the network is quantized while its weights are still memory-mapped, so that the full-precision
    weights never need memory; on a GPU it is quantized after it was moved there.

    Raises:
        UserError: For an unknown data type or quantization, for an adapter that does not fit, and as
            :func:`dia.checkpoint.load_checkpoint` does.
    """
    if compute_dtype not in DTYPES:
        raise UserError(f"compute_dtype={compute_dtype!r} is unknown; choose one of {', '.join(DTYPES)}")
    quantize_mapped = quantization is not None and device.type == "cpu"

    def before_placing(network: DiaNetwork) -> None:
        if adapter is not None:
            merge_adapter(network, load_adapter(adapter), f"the adapter {adapter}")
        if quantization and quantize_mapped:
            quantize(network, quantization)

    checkpoint = load_checkpoint(
        resolve_checkpoint(name), device, DTYPES[compute_dtype], cross_rope, before_placing, config_path
    )
    if quantization and not quantize_mapped:
        quantize(checkpoint.network, quantization)
    return checkpoint


def open_codec(checkpoint: Checkpoint, codec: str | None, name: str, device: torch.device) -> Codec:
    """Open the codec that a checkpoint names, or ``codec`` in its place.

    Raises:
        UserError: When no codec is named, when it cannot be opened, and when it is not the codec that the
            checkpoint was trained with.
    """
    if checkpoint.codec is None and codec is None:
        raise UserError(f"{name} names no codec; give one with codec=... (dac_44khz for Dia-1.6B)")
    opened = load_codec(codec or (checkpoint.codec.name if checkpoint.codec else ""), str(device))
    if checkpoint.codec and checkpoint.codec.fingerprint:
        require_codec(opened, checkpoint.codec.fingerprint, name)
    return opened
